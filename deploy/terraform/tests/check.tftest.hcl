# The daily check.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/panther-token-rotation-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/a-role" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:123456789012:panther-token-rotation-undelivered" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:panther-token-rotation" }
  }
}

variables {
  panther_api_url     = "acme.runpanther.net"
  lambda_zip          = "tests/stand-in.zip"
  alarm_topic_arn     = "arn:aws:sns:eu-west-1:123456789012:pager"
  further_secret_arns = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/panther-AbCdEf"]
}

run "daily" {
  assert {
    condition     = aws_scheduler_schedule.check[0].schedule_expression == "rate(1 day)" && jsondecode(aws_scheduler_schedule.check[0].target[0].input) == { Check = "secrets" }
    error_message = "The check does not run once a day, or its event is another one."
  }
  assert {
    condition     = aws_lambda_function.rotation.environment[0].variables.CHECK_SECRETS == var.further_secret_arns[0]
    error_message = "The secrets are not in the function's environment."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.rotation.policy).Statement[1] == {
      Sid      = "DescribeTheListedSecrets"
      Effect   = "Allow"
      Action   = "secretsmanager:DescribeSecret"
      Resource = [var.further_secret_arns[0]]
    }
    error_message = "The check may not describe a listed secret that names another function, or it may do more."
  }
  assert {
    condition     = [aws_cloudwatch_metric_alarm.heartbeat[0].treat_missing_data, one(aws_cloudwatch_metric_alarm.heartbeat[0].insufficient_data_actions)] == ["missing", var.alarm_topic_arn]
    error_message = "Silence does not page, or a deployment does."
  }
  assert {
    condition     = { for name in ["check", "check-tickets"] : name => aws_cloudwatch_metric_alarm.function[name].dimensions.Severity } == { check = "page", check-tickets = "ticket" }
    error_message = "The alarms on problems are not those of the contract."
  }
}

run "switched_off" {
  variables {
    daily_check = false
  }
  assert {
    condition     = length(aws_scheduler_schedule.check) + length(aws_iam_role.check) + length(aws_cloudwatch_metric_alarm.heartbeat) == 0
    error_message = "There is a check although it is switched off."
  }
  assert {
    condition     = !contains(keys(aws_lambda_function.rotation.environment[0].variables), "CHECK_SECRETS")
    error_message = "The function has secrets to check although the check is switched off."
  }
}

run "no_secret" {
  variables {
    further_secret_arns = []
  }
  assert {
    condition     = length(aws_scheduler_schedule.check) + length(aws_cloudwatch_metric_alarm.heartbeat) == 0
    error_message = "There is a check, or an alarm, although no secret is listed."
  }
}
