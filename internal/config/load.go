package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// EnvPrefix starts every environment variable that sets a key.
const EnvPrefix = "TAPEDECK_CONF_"

// ReadApp reads the settings of one app: YAML, as in accounts[].apps. They are not
// validated yet.
func ReadApp(r io.Reader) (App, error) {
	var p App
	text, err := io.ReadAll(io.LimitReader(r, maxApp))
	if err != nil {
		return p, fmt.Errorf("config: app: %w", err)
	}
	values, err := yaml.Parser().Unmarshal(text)
	if err != nil {
		return p, fmt.Errorf("config: app: %w", err)
	}
	d, err := mapstructure.NewDecoder(strict(&p))
	if err == nil {
		err = d.Decode(values)
	}
	if err != nil {
		return p, fmt.Errorf("config: app: %w", err)
	}
	return p, nil
}

// maxApp bounds the settings of an app, in bytes.
const maxApp = 1 << 20

// strict decodes into result and refuses keys that nobody knows.
func strict(result any) *mapstructure.DecoderConfig {
	return &mapstructure.DecoderConfig{
		Result: result, ErrorUnused: true, WeaklyTypedInput: true, TagName: "koanf",
		DecodeHook: mapstructure.StringToTimeDurationHookFunc(),
	}
}

// Load merges the sources and validates the result. path may be empty; env is
// in the form of os.Environ; flags maps keys ("listen") to values.
func Load(path string, env []string, flags map[string]string) (Config, error) {
	k := koanf.New(".")
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			if errors.Is(err, os.ErrNotExist) {
				return Config{}, fmt.Errorf("config: %s does not exist", path)
			}
			return Config{}, fmt.Errorf("config: %s: %w", path, err)
		}
	}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		key, ok := strings.CutPrefix(name, EnvPrefix)
		if !ok {
			continue
		}
		if err := k.Set(strings.ToLower(strings.ReplaceAll(key, "__", ".")), value); err != nil {
			return Config{}, fmt.Errorf("config: %s: %w", name, err)
		}
	}
	for key, value := range flags {
		if err := k.Set(key, value); err != nil {
			return Config{}, fmt.Errorf("config: flag %s: %w", key, err)
		}
	}
	c := Default()
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{Tag: "koanf", DecoderConfig: strict(&c)})
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	return c, c.Validate()
}
