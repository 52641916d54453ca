package main

// equivalents are the mutants that change nothing that matters, by key, and
// why.
var equivalents = map[string]string{}
