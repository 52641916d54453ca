locals {
  in_vpc = length(var.subnet_ids) > 0

  # 2m30s as a number. Terraform has no function for that.
  propagation_seconds = sum([
    for part in regexall("([0-9]+)([ms])", var.propagation_timeout) : tonumber(part[0]) * (part[1] == "m" ? 60 : 1)
  ])
}

resource "aws_lambda_function" "rotation" {
  # checkov:skip=CKV_AWS_115: Reserving concurrency is the account's decision: variable reserved_concurrency.
  # checkov:skip=CKV_AWS_116: Secrets Manager invokes synchronously and repeats by itself, so that a dead letter queue would stay empty.
  # checkov:skip=CKV_AWS_117: A VPC is needed only for tokens bound to addresses: variables subnet_ids and security_group_ids.
  # checkov:skip=CKV_AWS_173: Nothing in the environment is secret; Lambda encrypts it with its own key.
  # checkov:skip=CKV_AWS_272: Signing code is the account's decision: variable code_signing_config_arn.
  function_name = var.function_name
  description   = "Rotates Panther API tokens in Secrets Manager"
  role          = aws_iam_role.function.arn

  filename          = var.lambda_zip == "" ? null : var.lambda_zip
  source_code_hash  = var.lambda_zip != "" ? filebase64sha256(var.lambda_zip) : local.code_sha256 != "" ? local.code_sha256 : null
  s3_bucket         = try(var.lambda_s3.bucket, null)
  s3_key            = try(var.lambda_s3.key, null)
  s3_object_version = try(var.lambda_s3.version, null)

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]
  memory_size   = 256 # The function uses about 10 MB. Lambda scales CPU with memory, and TLS needs CPU.
  timeout       = var.timeout

  reserved_concurrent_executions = var.reserved_concurrency
  code_signing_config_arn        = var.code_signing_config_arn == "" ? null : var.code_signing_config_arn
  tags                           = var.tags

  environment {
    variables = merge(
      {
        PANTHER_API_URL     = var.panther_api_url
        SECRET_TOKEN_KEY    = var.secret_token_key
        PROPAGATION_TIMEOUT = var.propagation_timeout
        LOG_LEVEL           = var.log_level
      },
      var.recovery_recipient == "" ? {} : { RECOVERY_RECIPIENT = var.recovery_recipient },
      var.secret_standby_key == "" ? {} : { SECRET_STANDBY_KEY = var.secret_standby_key },
      # The same secrets as in the schedule and the rule. An event cannot name others.
      local.checks_daily ? { CHECK_SECRETS = join(",", local.watched_secrets) } : {},
      var.environment,
    )
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function.name
    # Lambda drops lines below this level. The runbook needs the lines of INFO.
    application_log_level = var.log_level == "debug" ? "DEBUG" : "INFO"
  }

  tracing_config {
    mode = "Active"
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? ["vpc"] : []
    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  # Lambda attaches the function to the VPC with its role, so the role must be complete first. Destroying removes its
  # permissions last.
  depends_on = [aws_iam_role_policy.rotation, aws_iam_role_policy.keys, aws_iam_role_policy.vpc]

  lifecycle {
    precondition {
      condition     = (var.lambda_zip == "") != (var.lambda_s3 == null)
      error_message = "Give the function's code either as lambda_zip or as lambda_s3."
    }
    precondition {
      condition     = local.code_sha256 == "" || var.lambda_zip == "" ? true : filebase64sha256(var.lambda_zip) == local.code_sha256
      error_message = "The zip in lambda_zip has another SHA-256 than the release. Download it again, or set lambda_sha256 for a zip of your own."
    }
    precondition {
      condition     = (length(var.subnet_ids) == 0) == (length(var.security_group_ids) == 0)
      error_message = "Give both subnet_ids and security_group_ids, or neither."
    }
    precondition {
      condition     = var.timeout >= local.propagation_seconds + 60
      error_message = "timeout must be propagation_timeout and a minute, or more: testSecret waits so long."
    }
    precondition {
      condition     = var.secret_id == "" || var.secret_account_id == ""
      error_message = "A schedule for another account's secret is made there. Leave secret_id empty."
    }
    precondition {
      condition     = var.alarm_email != "" || var.alarm_topic_arn != ""
      error_message = "Give alarm_email or alarm_topic_arn. If nobody is to be notified, set alarm_email to \"none\"."
    }
    precondition {
      condition     = var.alarm_email == "" || var.alarm_topic_arn == ""
      error_message = "Give alarm_email or alarm_topic_arn, not both."
    }
    precondition {
      condition     = var.ticket_topic_arn == "" || var.alarm_email != "none"
      error_message = "ticket_topic_arn needs alarm_email or alarm_topic_arn, for the alarms that page."
    }
    precondition {
      condition     = var.secret_token_key != var.secret_standby_key
      error_message = "secret_token_key and secret_standby_key must differ."
    }
    precondition {
      # Terraform sees only the name. make zip and the releases put Go's name of the architecture into it.
      condition     = !strcontains(basename(coalesce(var.lambda_zip, try(var.lambda_s3.key, null), "-")), var.architecture == "arm64" ? "-amd64" : "-arm64")
      error_message = "The name of the function's zip says that it was built for another architecture."
    }
    # The schedule is made only after this, so that no secret gets to other code.
    postcondition {
      condition     = local.code_sha256 == "" || self.code_sha256 == local.code_sha256
      error_message = "Lambda has code with another SHA-256 than the release. Copy the release's zip to lambda_s3, and apply again."
    }
    precondition {
      condition     = !contains(keys(var.environment), "AWS_USE_FIPS_ENDPOINT") || length(setintersection(keys(var.environment), ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"])) == 0
      error_message = "AWS_USE_FIPS_ENDPOINT cannot be used with an endpoint URL. Give the URL of the FIPS endpoint."
    }
  }
}

# Kept when the rest is destroyed, because it contains sealed tokens. Its name has a random suffix, so a second deployment
# does not collide with it.
resource "aws_cloudwatch_log_group" "function" {
  # checkov:skip=CKV_AWS_158: The log holds no secret, and CloudWatch encrypts it. Variable log_kms_key_arn sets a key.
  name_prefix       = "/aws/lambda/${var.function_name}-"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn == "" ? null : var.log_kms_key_arn
  skip_destroy      = true
  tags              = var.tags
}
