# The module in an emulated account, such as moto's. Everything the module makes goes to the endpoint. The secret is not
# made here: whoever runs this makes it through the API, with a value, as an operator does.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7"
    }
  }
}

variable "endpoint" {
  description = "URL of the emulated account, such as http://127.0.0.1:5000."
  type        = string
}

variable "region" {
  description = "Region of the emulated account, such as us-gov-west-1."
  type        = string
  default     = "eu-west-1"
}

variable "lambda_zip" {
  description = "Path of the function's zip. Empty if settings have lambda_s3."
  type        = string
  default     = ""
}

variable "settings" {
  description = "The module's variables that are to differ from their defaults, but for lambda_zip."
  type = object({
    architecture             = optional(string)
    lambda_s3                = optional(object({ bucket = string, key = string }))
    lambda_sha256            = optional(string)
    secret_id                = optional(string)
    schedule_expression      = optional(string)
    rotation_window          = optional(string)
    rotate_immediately       = optional(bool)
    alarm_email              = optional(string)
    alarm_topic_arn          = optional(string)
    further_secret_arns      = optional(list(string))
    kms_key_arns             = optional(list(string))
    recovery_recipient       = optional(string)
    permissions_boundary_arn = optional(string)
    secret_account_id        = optional(string)
    subnet_ids               = optional(list(string))
    security_group_ids       = optional(list(string))
    function_name            = optional(string)
    ticket_topic_arn         = optional(string)
    reserved_concurrency     = optional(number)
    code_signing_config_arn  = optional(string)
    log_kms_key_arn          = optional(string)
    topic_kms_key_arn        = optional(string)
    tags                     = optional(map(string))
    environment              = optional(map(string))
  })
  default = {}
}

provider "aws" {
  region                      = var.region
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true

  endpoints {
    cloudwatch     = var.endpoint
    ec2            = var.endpoint
    events         = var.endpoint
    iam            = var.endpoint
    lambda         = var.endpoint
    logs           = var.endpoint
    scheduler      = var.endpoint
    secretsmanager = var.endpoint
    sns            = var.endpoint
    sqs            = var.endpoint
    sts            = var.endpoint
  }
}

module "rotation" {
  source = "../.."

  lambda_zip      = var.lambda_zip
  panther_api_url = "https://api.acme.runpanther.net/public/graphql"

  architecture             = var.settings.architecture
  lambda_s3                = var.settings.lambda_s3
  lambda_sha256            = var.settings.lambda_sha256
  secret_id                = var.settings.secret_id
  schedule_expression      = var.settings.schedule_expression
  rotation_window          = var.settings.rotation_window
  rotate_immediately       = var.settings.rotate_immediately
  alarm_email              = var.settings.alarm_email
  alarm_topic_arn          = var.settings.alarm_topic_arn
  further_secret_arns      = var.settings.further_secret_arns
  kms_key_arns             = var.settings.kms_key_arns
  recovery_recipient       = var.settings.recovery_recipient
  permissions_boundary_arn = var.settings.permissions_boundary_arn
  secret_account_id        = var.settings.secret_account_id
  subnet_ids               = var.settings.subnet_ids
  security_group_ids       = var.settings.security_group_ids
  function_name            = var.settings.function_name
  ticket_topic_arn         = var.settings.ticket_topic_arn
  reserved_concurrency     = var.settings.reserved_concurrency
  code_signing_config_arn  = var.settings.code_signing_config_arn
  log_kms_key_arn          = var.settings.log_kms_key_arn
  topic_kms_key_arn        = var.settings.topic_kms_key_arn
  tags                     = var.settings.tags
  environment              = var.settings.environment
}

output "rotation" {
  value = module.rotation
}
