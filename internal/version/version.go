// Package version has the version of the function and of the operator's tool.
package version

// Number is the version, as in Semantic Versioning. The template's
// SemanticVersion repeats it, and a release is tagged with it.
const Number = "1.0.0-rc.1"
