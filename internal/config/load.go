package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// EnvPrefix starts every environment variable that sets a key.
const EnvPrefix = "TAPEDECK_CONF_"

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
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{
		Tag: "koanf",
		DecoderConfig: &mapstructure.DecoderConfig{
			Result: &c, ErrorUnused: true, WeaklyTypedInput: true, TagName: "koanf",
			DecodeHook: mapstructure.StringToTimeDurationHookFunc(),
		},
	})
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	return c, c.Validate()
}
