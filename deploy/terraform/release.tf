# SHA-256 of the function's zips in base64, by architecture. The module of a release has them. Empty: any zip.
locals {
  released = {
    arm64  = ""
    x86_64 = ""
  }

  code_sha256 = var.lambda_sha256 == "" ? local.released[var.architecture] : var.lambda_sha256
}
