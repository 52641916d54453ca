# What everybody gets: the function alone, and the schedule, with no variable set but those that must be.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws-us-gov" }
  }
  mock_data "aws_region" {
    defaults = { id = "us-gov-west-1" }
  }
  mock_data "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:acme/panther-AbCdEf" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = {
      arn  = "arn:aws-us-gov:logs:us-gov-west-1:123456789012:log-group:/aws/lambda/panther-token-rotation-1"
      name = "/aws/lambda/panther-token-rotation-1"
    }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws-us-gov:iam::123456789012:role/panther-token-rotation-us-gov-west-1" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws-us-gov:events:us-gov-west-1:123456789012:rule/panther-token-rotation-rotation-failed" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws-us-gov:sns:us-gov-west-1:123456789012:panther-token-rotation-alarms" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:panther-token-rotation-undelivered" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:panther-token-rotation" }
  }
}

variables {
  panther_api_url = "https://api.acme.runpanther.net/public/graphql"
  lambda_zip      = "tests/stand-in.zip"
  alarm_email     = "none"
}

run "function" {
  assert {
    condition = [
      aws_lambda_function.rotation.function_name,
      aws_lambda_function.rotation.runtime,
      aws_lambda_function.rotation.handler,
      one(aws_lambda_function.rotation.architectures),
      one(aws_lambda_function.rotation.tracing_config).mode,
    ] == ["panther-token-rotation", "provided.al2023", "bootstrap", "arm64", "Active"]
    error_message = "The function is not the one of the contract."
  }
  assert {
    condition     = aws_lambda_function.rotation.timeout == 240 && aws_lambda_function.rotation.memory_size == 256
    error_message = "The function needs 240 seconds and 256 MB, not Lambda's defaults."
  }
  assert {
    condition = aws_lambda_function.rotation.environment[0].variables == tomap({
      PANTHER_API_URL     = "https://api.acme.runpanther.net/public/graphql"
      SECRET_TOKEN_KEY    = "PANTHER_API_TOKEN"
      PROPAGATION_TIMEOUT = "3m"
      LOG_LEVEL           = "info"
    })
    error_message = "The environment has other settings than the defaults."
  }
  assert {
    condition     = aws_lambda_function.rotation.source_code_hash == filebase64sha256("tests/stand-in.zip")
    error_message = "A new zip of the same name would not be deployed."
  }
  assert {
    condition     = length(aws_lambda_function.rotation.vpc_config) == 0
    error_message = "The function is in a VPC that nobody asked for."
  }
}

run "log" {
  assert {
    condition = (
      one(aws_lambda_function.rotation.logging_config).log_format == "JSON" &&
      one(aws_lambda_function.rotation.logging_config).application_log_level == "INFO" &&
      one(aws_lambda_function.rotation.logging_config).log_group == aws_cloudwatch_log_group.function.name
    )
    error_message = "The function does not log as JSON into its own log group."
  }
  assert {
    condition     = aws_cloudwatch_log_group.function.retention_in_days == 365
    error_message = "The log is not kept for a year."
  }
  assert {
    condition     = aws_cloudwatch_log_group.function.skip_destroy && aws_cloudwatch_log_group.function.name_prefix == "/aws/lambda/panther-token-rotation-"
    error_message = "Sealed tokens would go with the log, or the next deployment would meet the log of this one."
  }
}

run "no_schedule_without_secret_id" {
  assert {
    condition     = length(aws_secretsmanager_secret_rotation.token) == 0 && length(data.aws_secretsmanager_secret.token) == 0
    error_message = "There is a schedule though there is no secret."
  }
  assert {
    condition     = output.rotate_now_command == null && output.check_command == null && output.roll_back_command == null
    error_message = "There are commands for a secret though there is none."
  }
}

run "permission" {
  assert {
    condition = [
      aws_lambda_permission.secrets_manager.action,
      aws_lambda_permission.secrets_manager.principal,
      aws_lambda_permission.secrets_manager.source_account,
      aws_lambda_permission.secrets_manager.function_name,
    ] == ["lambda:InvokeFunction", "secretsmanager.amazonaws.com", "123456789012", "panther-token-rotation"]
    error_message = "A principal other than Secrets Manager of this account may invoke the function."
  }
  assert {
    condition     = aws_lambda_permission.secrets_manager.source_arn == null
    error_message = "The permission is tied to one secret."
  }
}

run "schedule" {
  variables {
    secret_id = "acme/panther"
  }

  assert {
    condition = (
      aws_secretsmanager_secret_rotation.token[0].secret_id == "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:acme/panther-AbCdEf" &&
      aws_secretsmanager_secret_rotation.token[0].rotation_lambda_arn == aws_lambda_function.rotation.arn
    )
    error_message = "The schedule has to name the secret by its whole ARN, and the function."
  }
  assert {
    condition     = aws_secretsmanager_secret_rotation.token[0].rotate_immediately == false
    error_message = "Deploying would rotate the token."
  }
  assert {
    condition     = aws_secretsmanager_secret_rotation.token[0].rotation_rules[0].schedule_expression == "rate(30 days)"
    error_message = "The default is every 30 days."
  }
  assert {
    condition     = aws_secretsmanager_secret_rotation.token[0].rotation_rules[0].duration == null
    error_message = "A window is set though nobody gave one."
  }
  assert {
    condition     = data.aws_secretsmanager_secret.token[0].name == "acme/panther"
    error_message = "The secret is not looked up by its name."
  }
}

run "schedule_of_the_users" {
  variables {
    secret_id           = "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:acme/panther-AbCdEf"
    schedule_expression = "cron(0 4 1 * ? *)"
    rotation_window     = "3h"
    rotate_immediately  = true
  }

  assert {
    condition = (
      aws_secretsmanager_secret_rotation.token[0].rotation_rules[0].schedule_expression == "cron(0 4 1 * ? *)" &&
      aws_secretsmanager_secret_rotation.token[0].rotation_rules[0].duration == "3h" &&
      aws_secretsmanager_secret_rotation.token[0].rotate_immediately
    )
    error_message = "Schedule, window or rotate_immediately were lost."
  }
  assert {
    condition     = data.aws_secretsmanager_secret.token[0].arn == var.secret_id
    error_message = "The secret is not looked up by its ARN."
  }
}

run "settings_of_the_users" {
  variables {
    secret_token_key    = "panther.token"
    propagation_timeout = "2m30s"
    timeout             = 300
    recovery_recipient  = "age1qqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpq"
    log_level           = "debug"
    function_name       = "rotate-panther"
    architecture        = "x86_64"
    log_retention_days  = 731
  }

  assert {
    condition = aws_lambda_function.rotation.environment[0].variables == tomap({
      PANTHER_API_URL     = "https://api.acme.runpanther.net/public/graphql"
      SECRET_TOKEN_KEY    = "panther.token"
      PROPAGATION_TIMEOUT = "2m30s"
      RECOVERY_RECIPIENT  = "age1qqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpqqpq"
      LOG_LEVEL           = "debug"
    })
    error_message = "Settings were lost on their way to the function."
  }
  assert {
    condition     = aws_lambda_function.rotation.timeout == 300 && one(aws_lambda_function.rotation.architectures) == "x86_64"
    error_message = "Timeout or architecture were lost."
  }
  assert {
    condition = [
      aws_lambda_function.rotation.function_name,
      aws_iam_role.function.name,
      aws_cloudwatch_log_group.function.name_prefix,
      aws_cloudwatch_metric_alarm.function["errors"].alarm_name,
      aws_cloudwatch_dashboard.function.dashboard_name,
    ] == ["rotate-panther", "rotate-panther-us-gov-west-1", "/aws/lambda/rotate-panther-", "rotate-panther-errors", "rotate-panther-us-gov-west-1"]
    error_message = "Two functions of one account would have names in common."
  }
  assert {
    condition     = aws_cloudwatch_log_group.function.retention_in_days == 731
    error_message = "The retention was lost."
  }
}

# What hardening sets. Without the variables, everything is as AWS makes it.
run "not_hardened" {
  assert {
    condition = (
      aws_lambda_function.rotation.reserved_concurrent_executions == null && aws_lambda_function.rotation.code_signing_config_arn == null &&
      aws_cloudwatch_log_group.function.kms_key_id == null && length(aws_lambda_function.rotation.tags) == 0
    )
    error_message = "The defaults are not those of before."
  }
}

run "hardened" {
  variables {
    reserved_concurrency    = 5
    code_signing_config_arn = "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:code-signing-config:csc-0123456789abcdef0"
    log_kms_key_arn         = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/12345678-1234-1234-1234-123456789012"
    topic_kms_key_arn       = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/12345678-1234-1234-1234-123456789012"
    alarm_email             = "security@example.com"
    tags                    = { owner = "security" }
    environment             = { HTTPS_PROXY = "http://egress.acme.net:3128", AWS_USE_FIPS_ENDPOINT = "true" }
  }

  assert {
    condition = (
      aws_lambda_function.rotation.reserved_concurrent_executions == 5 &&
      aws_lambda_function.rotation.code_signing_config_arn == var.code_signing_config_arn &&
      aws_cloudwatch_log_group.function.kms_key_id == var.log_kms_key_arn &&
      aws_sns_topic.alarms[0].kms_master_key_id == var.topic_kms_key_arn
    )
    error_message = "Concurrency, code signing or keys were lost."
  }
  assert {
    condition = alltrue([
      for tags in concat(
        [for alarm in aws_cloudwatch_metric_alarm.function : alarm.tags],
        [aws_cloudwatch_metric_alarm.process_ended.tags, aws_cloudwatch_metric_alarm.undelivered[0].tags],
        [aws_cloudwatch_event_rule.rotation_failed[0].tags, aws_sqs_queue.undelivered[0].tags, aws_sns_topic.alarms[0].tags],
        [aws_lambda_function.rotation.tags, aws_iam_role.function.tags, aws_cloudwatch_log_group.function.tags],
      ) : tags == tomap({ owner = "security" })
    ])
    error_message = "Something has no tags."
  }
  assert {
    condition = aws_lambda_function.rotation.environment[0].variables == tomap({
      PANTHER_API_URL       = "https://api.acme.runpanther.net/public/graphql"
      SECRET_TOKEN_KEY      = "PANTHER_API_TOKEN"
      PROPAGATION_TIMEOUT   = "3m"
      LOG_LEVEL             = "info"
      HTTPS_PROXY           = "http://egress.acme.net:3128"
      AWS_USE_FIPS_ENDPOINT = "true"
    })
    error_message = "Further variables were lost on their way to the function."
  }
}

run "code_in_s3" {
  variables {
    lambda_zip = ""
    lambda_s3  = { bucket = "acme-artifacts", key = "rotation.zip", version = "abc" }
  }

  assert {
    condition = [
      aws_lambda_function.rotation.s3_bucket,
      aws_lambda_function.rotation.s3_key,
      aws_lambda_function.rotation.s3_object_version,
    ] == ["acme-artifacts", "rotation.zip", "abc"]
    error_message = "The code is not taken from S3."
  }
  assert {
    condition     = aws_lambda_function.rotation.filename == null
    error_message = "The code is taken from a file."
  }
}

run "in_a_vpc" {
  variables {
    subnet_ids         = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    security_group_ids = ["sg-0123456789abcdef0"]
  }

  assert {
    condition = (
      one(aws_lambda_function.rotation.vpc_config).subnet_ids == toset(["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]) &&
      one(aws_lambda_function.rotation.vpc_config).security_group_ids == toset(["sg-0123456789abcdef0"])
    )
    error_message = "The function is not in the VPC."
  }
}

run "commands" {
  variables {
    secret_id = "acme/panther"
  }

  assert {
    condition = [
      output.rotate_now_command,
      output.roll_back_command,
      output.check_command,
      output.add_secret_command,
      ] == [
      "aws secretsmanager rotate-secret --region us-gov-west-1 --secret-id 'acme/panther'",
      "aws secretsmanager cancel-rotate-secret --region us-gov-west-1 --secret-id 'acme/panther'",
      "aws secretsmanager describe-secret --region us-gov-west-1 --secret-id 'acme/panther' --query '[RotationEnabled, LastRotatedDate, NextRotationDate, VersionIdsToStages]'",
      "aws secretsmanager rotate-secret --region us-gov-west-1 --secret-id SECRET --rotation-lambda-arn arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:panther-token-rotation --rotation-rules '{\"ScheduleExpression\":\"rate(30 days)\"}' --no-rotate-immediately",
    ]
    error_message = "The commands are not those of the contract."
  }
  assert {
    condition     = output.dashboard_url == "https://us-gov-west-1.console.amazonaws-us-gov.com/cloudwatch/home?region=us-gov-west-1#dashboards/dashboard/panther-token-rotation-us-gov-west-1"
    error_message = "The dashboard is elsewhere in GovCloud."
  }
}
