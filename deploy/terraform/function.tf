locals {
  in_vpc = length(var.subnet_ids) > 0

  # 2m30s as a number. Terraform has no function for that.
  propagation_seconds = sum([
    for part in regexall("([0-9]+)([ms])", var.propagation_timeout) : tonumber(part[0]) * (part[1] == "m" ? 60 : 1)
  ])
}

resource "aws_lambda_function" "rotation" {
  # checkov:skip=CKV_AWS_115: Reserving concurrency is the account's decision; a reserve that is used up fails rotations.
  # checkov:skip=CKV_AWS_116: Secrets Manager invokes synchronously and repeats by itself, so that a dead letter queue would stay empty.
  # checkov:skip=CKV_AWS_117: A VPC is needed only for tokens bound to addresses: variables subnet_ids and security_group_ids.
  # checkov:skip=CKV_AWS_173: Nothing in the environment is secret; Lambda encrypts it with its own key.
  # checkov:skip=CKV_AWS_272: Signing code is the account's decision; whoever deploys has built or checked the zip.
  function_name = var.function_name
  description   = "Rotates Panther API tokens in Secrets Manager"
  role          = aws_iam_role.function.arn

  filename          = var.lambda_zip == "" ? null : var.lambda_zip
  source_code_hash  = var.lambda_zip == "" ? null : filebase64sha256(var.lambda_zip)
  s3_bucket         = try(var.lambda_s3.bucket, null)
  s3_key            = try(var.lambda_s3.key, null)
  s3_object_version = try(var.lambda_s3.version, null)

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]
  memory_size   = 256 # needs some 10; but Lambda gives processor by memory, and TLS wants some
  timeout       = var.timeout

  environment {
    variables = merge(
      {
        PANTHER_API_URL     = var.panther_api_url
        SECRET_TOKEN_KEY    = var.secret_token_key
        PROPAGATION_TIMEOUT = var.propagation_timeout
        LOG_LEVEL           = var.log_level
      },
      var.recovery_recipient == "" ? {} : { RECOVERY_RECIPIENT = var.recovery_recipient },
    )
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function.name
    # Lambda drops lines below this. Metrics of failures are ERROR lines, the other metrics INFO.
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

  # Lambda attaches the function to the VPC in the name of its role, so that the role has to be complete by then. And
  # destroying takes its permissions away last.
  depends_on = [aws_iam_role_policy.rotation, aws_iam_role_policy.keys, aws_iam_role_policy.vpc]

  lifecycle {
    precondition {
      condition     = (var.lambda_zip == "") != (var.lambda_s3 == null)
      error_message = "Give the function's code either as lambda_zip or as lambda_s3."
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
      condition     = var.alarm_email == "" || var.alarm_topic_arn == ""
      error_message = "Give alarm_email or alarm_topic_arn, not both."
    }
  }
}

# Kept when the rest is destroyed, since sealed tokens are in it. That is why its name ends with something of its own: a
# second deployment would meet the first one's log.
resource "aws_cloudwatch_log_group" "function" {
  # checkov:skip=CKV_AWS_158: The log holds nothing secret; CloudWatch encrypts it with its own key.
  name_prefix       = "/aws/lambda/${var.function_name}-"
  retention_in_days = var.log_retention_days
  skip_destroy      = true
}
