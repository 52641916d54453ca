package lambdaruntime

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checkVariables refuses variables that Lambda does not let a function's
// configuration set
// (https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html).
func checkVariables(variables map[string]string) error {
	reserved := []string{"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV",
		"AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
		"AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
		"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"}
	var used []string
	for _, name := range reserved {
		if _, ok := variables[name]; ok {
			used = append(used, name)
		}
	}
	if len(used) > 0 {
		return fmt.Errorf("option Env sets variables that Lambda reserves for itself: %s", strings.Join(used, ", "))
	}
	return nil
}

// variables returns the whole environment of a process whose runtime API is at
// address: what Lambda defines, overlaid by the function's own. AWS_EXECUTION_ENV
// is missing because Lambda does not define it for OS-only runtimes. The
// credentials are stand-ins that no AWS account accepts.
func (f *Function) variables(address string) []string {
	o := f.settings()
	all := map[string]string{
		"_HANDLER":                        filepath.Base(o.Binary),
		"AWS_ACCESS_KEY_ID":               "ASIA0SANDBOX0EXAMPLE",
		"AWS_DEFAULT_REGION":              o.Region,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(o.MemoryMB),
		"AWS_LAMBDA_FUNCTION_NAME":        o.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       f.LogGroup(),
		"AWS_LAMBDA_LOG_STREAM_NAME":      time.Now().UTC().Format("2006/01/02/") + "[$LATEST]" + randomHex(16),
		"AWS_LAMBDA_RUNTIME_API":          address,
		"AWS_REGION":                      o.Region,
		"AWS_SECRET_ACCESS_KEY":           "sandbox-secret-access-key",
		"AWS_SESSION_TOKEN":               "sandbox-session-token",
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"LAMBDA_TASK_ROOT":                filepath.Dir(o.Binary),
		"LANG":                            "en_US.UTF-8",
		"PATH":                            "/usr/local/bin:/usr/bin:/bin:/opt/bin",
		"TZ":                              ":UTC",
	}
	if o.JSONLog {
		all["AWS_LAMBDA_LOG_FORMAT"], all["AWS_LAMBDA_LOG_LEVEL"] = "JSON", "INFO"
	}
	maps.Copy(all, o.Env)

	var variables []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		variables = append(variables, name+"="+all[name])
	}
	return variables
}
