# Rotates the token in the secret acme/panther every 30 days. Before this is applied, "make zip" has made the zip, and the
# secret exists and holds a token.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

module "panther_token_rotation" {
  source = "../.."

  lambda_zip      = "${path.module}/../../../../build/panther-token-rotation-arm64.zip"
  panther_api_url = "acme.runpanther.net"
  secret_id       = "acme/panther"
  alarm_email     = "security@example.com"
}

output "check" {
  value = module.panther_token_rotation.check_command
}

output "log_group" {
  value = module.panther_token_rotation.log_group_name
}

output "rotate_now" {
  value = module.panther_token_rotation.rotate_now_command
}

output "roll_back" {
  value = module.panther_token_rotation.roll_back_command
}

output "add_secret" {
  value = module.panther_token_rotation.add_secret_command
}

output "dashboard" {
  value = module.panther_token_rotation.dashboard_url
}
