# Who is told what, and the dashboard.

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
  mock_data "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/panther-AbCdEf" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = {
      arn  = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/panther-token-rotation-1"
      name = "/aws/lambda/panther-token-rotation-1"
    }
  }
  mock_resource "aws_cloudwatch_metric_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:any" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/panther-token-rotation-eu-west-1" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:panther-token-rotation" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:panther-token-rotation-alarms" }
  }
}

variables {
  panther_api_url = "acme.runpanther.net"
  lambda_zip      = "tests/stand-in.zip"
}

run "alarms" {
  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.function :
      alarm.alarm_name => "${alarm.namespace} ${alarm.metric_name} in ${alarm.period} s"
      } == {
      panther-token-rotation-token-not-stored = "PantherTokenRotation TokensNotStored in 60 s"
      panther-token-rotation-errors           = "AWS/Lambda Errors in 300 s"
      panther-token-rotation-throttles        = "AWS/Lambda Throttles in 300 s"
    }
    error_message = "The alarms are not those of the contract."
  }
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.function :
      alarm.statistic == "Sum" && alarm.threshold == 1 && alarm.evaluation_periods == 1 &&
      alarm.comparison_operator == "GreaterThanOrEqualToThreshold" && alarm.treat_missing_data == "notBreaching" &&
      alarm.dimensions == tomap({ FunctionName = "panther-token-rotation" })
    ])
    error_message = "An alarm does not go off at the first, or at other functions'."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.function : strcontains(alarm.alarm_description, "deploy/docs/runbook.md")])
    error_message = "An alarm does not say where to read on."
  }
}

run "nobody_to_be_told" {
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.function : length(alarm.alarm_actions) == 0])
    error_message = "An alarm acts though nobody is to be told."
  }
  assert {
    condition = (
      length(aws_cloudwatch_event_rule.rotation_failed) == 0 && length(aws_cloudwatch_event_target.rotation_failed) == 0 &&
      length(aws_sns_topic.alarms) == 0 && length(aws_sns_topic_policy.alarms) == 0 && length(aws_sns_topic_subscription.email) == 0
    )
    error_message = "There is a rule or a topic though nobody is to be told."
  }
}

run "a_topic_of_the_users" {
  variables {
    alarm_topic_arn = "arn:aws:sns:eu-west-1:123456789012:pager"
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.function : alarm.alarm_actions == toset(["arn:aws:sns:eu-west-1:123456789012:pager"])
    ])
    error_message = "An alarm does not tell the topic."
  }
  assert {
    condition     = aws_cloudwatch_event_target.rotation_failed[0].arn == "arn:aws:sns:eu-west-1:123456789012:pager"
    error_message = "The rule does not tell the topic."
  }
  assert {
    condition     = length(aws_sns_topic.alarms) == 0
    error_message = "There is a second topic."
  }
}

run "an_address" {
  variables {
    alarm_email = "security@example.com"
  }

  assert {
    condition = (
      aws_sns_topic.alarms[0].name == "panther-token-rotation-alarms" &&
      aws_sns_topic_subscription.email[0].protocol == "email" && aws_sns_topic_subscription.email[0].endpoint == "security@example.com" &&
      aws_sns_topic_subscription.email[0].topic_arn == aws_sns_topic.alarms[0].arn
    )
    error_message = "The address is not subscribed."
  }
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.function : alarm.alarm_actions == toset([aws_sns_topic.alarms[0].arn])
    ])
    error_message = "An alarm does not tell the address."
  }
  assert {
    condition     = aws_cloudwatch_event_target.rotation_failed[0].arn == aws_sns_topic.alarms[0].arn
    error_message = "The rule does not tell the address."
  }
  assert {
    condition = jsonencode(jsondecode(aws_sns_topic_policy.alarms[0].policy).Statement) == jsonencode([
      {
        Sid       = "LetAlarmsPublish"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms[0].arn
        Condition = { StringEquals = { "aws:SourceAccount" = "123456789012" } }
      },
      {
        Sid       = "LetEventsPublish"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms[0].arn
      },
    ])
    error_message = "The topic is closed to the alarms or the rule, or open to others."
  }
  assert {
    condition     = aws_sns_topic.alarms[0].kms_master_key_id == null
    error_message = "Alarms cannot publish to a topic under AWS's default key."
  }
}

run "any_secret_without_secret_id" {
  variables {
    alarm_email         = "security@example.com"
    further_secret_arns = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/further-AbCdEf"]
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.rotation_failed[0].event_pattern) == {
      source      = ["aws.secretsmanager"]
      detail-type = ["AWS Service Event via CloudTrail"]
      detail = {
        eventSource = ["secretsmanager.amazonaws.com"]
        eventName   = ["RotationFailed", "TestRotationFailed", "RotationAbandoned"]
      }
    }
    error_message = "The rule does not watch every secret of the account."
  }
}

run "these_secrets_with_secret_id" {
  variables {
    alarm_email         = "security@example.com"
    secret_id           = "acme/panther"
    further_secret_arns = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/further-AbCdEf"]
  }

  # By the ARN under each of the names that it has in such events.
  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.rotation_failed[0].event_pattern).detail == {
      eventSource = ["secretsmanager.amazonaws.com"]
      eventName   = ["RotationFailed", "TestRotationFailed", "RotationAbandoned"]
      "$or" = [
        {
          additionalEventData = {
            SecretId = [
              "arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/panther-AbCdEf",
              "arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/further-AbCdEf",
            ]
          }
        },
        {
          responseElements = {
            arn = [
              "arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/panther-AbCdEf",
              "arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/further-AbCdEf",
            ]
          }
        },
        {
          responseElements = {
            aRN = [
              "arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/panther-AbCdEf",
              "arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/further-AbCdEf",
            ]
          }
        },
      ]
    }
    error_message = "The rule does not watch these secrets, or others too."
  }
  # Each placeholder of the message is one that the rule fills in.
  assert {
    condition = (
      toset(flatten(regexall("<([a-z]+)>", one(aws_cloudwatch_event_target.rotation_failed[0].input_transformer).input_template))) ==
      toset(keys(one(aws_cloudwatch_event_target.rotation_failed[0].input_transformer).input_paths))
    )
    error_message = "The message has a placeholder that is not filled in."
  }
  assert {
    condition     = can(tostring(jsondecode(one(aws_cloudwatch_event_target.rotation_failed[0].input_transformer).input_template)))
    error_message = "The message is not a JSON string, which EventBridge wants."
  }
}

run "dashboard" {
  assert {
    condition = [for widget in jsondecode(aws_cloudwatch_dashboard.function.dashboard_body).widgets : widget.properties.title] == [
      "Alarms",
      "Rotations a day",
      "Failed steps by kind, a day",
      "How long a new token took to work",
      "How long readers had a dead token",
      "The longest step, beside the timeout",
      "Last rotations",
      "Last failures",
    ]
    error_message = "The dashboard does not show what the contract asks for."
  }
  assert {
    condition = [for metric in jsondecode(aws_cloudwatch_dashboard.function.dashboard_body).widgets[1].properties.metrics : slice(metric, 0, 4)] == [
      for name in ["RotationsSucceeded", "RotationsFailed", "TokensNotStored"] : ["PantherTokenRotation", name, "FunctionName", "panther-token-rotation"]
    ]
    error_message = "The dashboard shows other metrics than the function's."
  }
  assert {
    condition     = startswith(jsondecode(aws_cloudwatch_dashboard.function.dashboard_body).widgets[7].properties.query, "SOURCE '/aws/lambda/panther-token-rotation-1' | ")
    error_message = "The dashboard reads another log."
  }
  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.function.dashboard_body).widgets[0].properties.alarms) == 3
    error_message = "The dashboard does not show each alarm."
  }
}
