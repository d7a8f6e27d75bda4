package api

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// fits holds a value against a schema, as far as this document uses the language
// of schemas, and says what does not fit.
func fits(doc, schema tree, v any) string {
	if ref, ok := schema["$ref"].(string); ok {
		target := any(doc)
		for _, name := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			inner, ok := target.(tree)
			if !ok || inner[name] == nil {
				return "nothing is at " + ref
			}
			target = inner[name]
		}
		return fits(doc, target.(tree), v)
	}
	if v == nil {
		return "" // counts as absent
	}
	if all, ok := schema["allOf"].([]any); ok {
		for _, s := range all {
			if why := fits(doc, s.(tree), v); why != "" {
				return why
			}
		}
	}
	if one, ok := schema["oneOf"].([]any); ok {
		matches := 0
		for _, s := range one {
			if fits(doc, s.(tree), v) == "" {
				matches++
			}
		}
		if matches != 1 {
			return fmt.Sprintf("%v fits %d of the alternatives", v, matches)
		}
	}
	return fitsType(doc, schema, v)
}

func fitsType(doc, schema tree, v any) string {
	enum, _ := schema["enum"].([]any)
	if enum != nil && schema["x-lenient"] == nil && v != "" && !slices.Contains(enum, v) {
		return fmt.Sprintf("%v is none of %v", v, enum)
	}
	ok := true
	switch schema["type"] {
	case "string":
		_, ok = v.(string)
	case "boolean":
		_, ok = v.(bool)
	case "integer", "number":
		n, isNumber := v.(float64)
		low, hasLow := schema["minimum"].(float64)
		high, hasHigh := schema["maximum"].(float64)
		ok = isNumber && (schema["type"] == "number" || n == math.Trunc(n)) && (!hasLow || n >= low) && (!hasHigh || n <= high)
	case "array":
		list, isList := v.([]any)
		if !isList {
			return fmt.Sprintf("%v is no array", v)
		}
		for _, item := range list {
			if why := fits(doc, schema["items"].(tree), item); why != "" {
				return why
			}
		}
	case "object":
		return fitsObject(doc, schema, v)
	}
	if !ok {
		return fmt.Sprintf("%v does not fit %v", v, schema)
	}
	return ""
}

func fitsObject(doc, schema tree, v any) string {
	object, ok := v.(tree)
	if !ok {
		return fmt.Sprintf("%v is no object", v)
	}
	properties, _ := schema["properties"].(tree)
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, there := object[name.(string)]; !there {
			return fmt.Sprintf("%v is missing", name)
		}
	}
	for name, inner := range object {
		s, known := properties[name].(tree)
		if !known && schema["additionalProperties"] == false {
			return name + " is too much"
		}
		if known {
			if why := fits(doc, s, inner); why != "" {
				return name + ": " + why
			}
		}
	}
	return ""
}
