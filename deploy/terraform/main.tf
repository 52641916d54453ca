data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.id # its other names differ between versions 5 and 6 of the provider

  # Written out, because the role names the function before the function exists.
  function_arn = "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${var.function_name}"

  secret_account = var.secret_account_id == "" ? local.account : var.secret_account_id
  secrets        = "arn:${local.partition}:secretsmanager:${local.region}:${local.secret_account}:secret:*"
}
