# The function in one account, the secret acme/panther in another, both in one Region. Before this is applied, "make zip"
# has made the zip, and the secret exists and holds a token. Apply in two steps:
#
#   terraform apply                      makes the function, the key and the policies
#   aws secretsmanager update-secret --secret-id acme/panther --kms-key-id KEY      in the secret's account, KEY from the output
#   terraform apply -var rotate=true     makes the schedule, which tests the rotation and rotates nothing

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7"
    }
  }
}

variable "rotate" {
  description = "Whether the schedule is made. The secret must use the key by then."
  type        = bool
  default     = false
}

# The account of the function.
provider "aws" {
  region  = "eu-west-1"
  profile = "functions"
}

# The account of the secret.
provider "aws" {
  alias   = "secret"
  region  = "eu-west-1"
  profile = "secrets"
}

data "aws_caller_identity" "secret" {
  provider = aws.secret
}

data "aws_partition" "secret" {
  provider = aws.secret
}

data "aws_secretsmanager_secret" "panther" {
  provider = aws.secret
  name     = "acme/panther"
}

module "panther_token_rotation" {
  source = "../.."

  lambda_zip        = "${path.module}/../../../../build/panther-token-rotation-arm64.zip"
  panther_api_url   = "acme.runpanther.net"
  alarm_email       = "security@example.com"
  secret_account_id = data.aws_caller_identity.secret.account_id
  kms_key_arns      = [aws_kms_key.panther.arn]
}

# AWS's own key of Secrets Manager cannot be used from another account.
resource "aws_kms_key" "panther" {
  provider            = aws.secret
  description         = "Panther API token"
  enable_key_rotation = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "LetThisAccountAdminister"
        Effect    = "Allow"
        Principal = { AWS = "arn:${data.aws_partition.secret.partition}:iam::${data.aws_caller_identity.secret.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "LetTheFunctionUseTheSecret"
        Effect    = "Allow"
        Principal = { AWS = module.panther_token_rotation.role_arn }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = {
          StringLike   = { "kms:ViaService" = "secretsmanager.*" }
          StringEquals = { "kms:EncryptionContext:SecretARN" = data.aws_secretsmanager_secret.panther.arn }
        }
      },
    ]
  })
}

# Replaces the secret's policy, if it has one.
resource "aws_secretsmanager_secret_policy" "panther" {
  provider            = aws.secret
  secret_arn          = data.aws_secretsmanager_secret.panther.arn
  block_public_policy = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "LetTheFunctionRotate"
      Effect    = "Allow"
      Principal = { AWS = module.panther_token_rotation.role_arn }
      Action = [
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:ListSecretVersionIds",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
      ]
      Resource = "*" # of this secret
    }]
  })
}

resource "aws_secretsmanager_secret_rotation" "panther" {
  provider = aws.secret
  count    = var.rotate ? 1 : 0

  secret_id           = data.aws_secretsmanager_secret.panther.arn
  rotation_lambda_arn = module.panther_token_rotation.function_arn
  rotate_immediately  = false

  rotation_rules {
    schedule_expression = "rate(30 days)"
  }

  depends_on = [aws_secretsmanager_secret_policy.panther]
}

# CloudTrail records rotations in the account of the secret, which needs a trail. The topic is yours, and its policy must
# allow events.amazonaws.com.
resource "aws_cloudwatch_event_rule" "rotation_failed" {
  provider    = aws.secret
  name        = "panther-token-rotation-failed"
  description = "Secrets Manager gave up a rotation of the Panther API token, or a test of one."

  event_pattern = jsonencode({
    source      = ["aws.secretsmanager"]
    detail-type = ["AWS Service Event via CloudTrail"]
    detail = {
      eventSource = ["secretsmanager.amazonaws.com"]
      eventName   = ["RotationFailed", "TestRotationFailed", "RotationAbandoned"]
      "$or" = [
        { additionalEventData = { SecretId = [data.aws_secretsmanager_secret.panther.arn] } },
        { responseElements = { arn = [data.aws_secretsmanager_secret.panther.arn] } },
        { responseElements = { aRN = [data.aws_secretsmanager_secret.panther.arn] } },
      ]
    }
  })
}

resource "aws_cloudwatch_event_target" "rotation_failed" {
  provider  = aws.secret
  rule      = aws_cloudwatch_event_rule.rotation_failed.name
  target_id = "topic"
  arn       = "arn:${data.aws_partition.secret.partition}:sns:eu-west-1:${data.aws_caller_identity.secret.account_id}:pager"
}

output "key" {
  value = aws_kms_key.panther.arn
}
