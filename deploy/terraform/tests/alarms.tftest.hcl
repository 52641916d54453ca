# Who is notified of what, and the dashboard.

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
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:123456789012:rule/panther-token-rotation-rotation-failed" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:123456789012:panther-token-rotation-undelivered" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:panther-token-rotation-alarms" }
  }
}

variables {
  panther_api_url = "acme.runpanther.net"
  lambda_zip      = "tests/stand-in.zip"
  alarm_email     = "none"
}

run "alarms" {
  # That local.pages has the kinds that page is a test of internal/metrics.
  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.function :
      alarm.alarm_name => join(" ", concat([alarm.namespace, alarm.metric_name], [for key, value in alarm.dimensions : "${key}=${value}" if key != "FunctionName"]))
      } == merge(
      { for kind in keys(local.pages) : "panther-token-rotation-${kind}" => "PantherTokenRotation RotationsFailed Kind=${kind}" },
      {
        panther-token-rotation-NotStored    = "PantherTokenRotation TokensNotStored"
        panther-token-rotation-tickets      = "PantherTokenRotation RotationsFailed Severity=ticket"
        panther-token-rotation-seals-failed = "PantherTokenRotation SealsFailed"
        panther-token-rotation-standby      = "PantherTokenRotation StandbysRefused"
        panther-token-rotation-errors       = "AWS/Lambda Errors"
        panther-token-rotation-throttles    = "AWS/Lambda Throttles"

        panther-token-rotation-StandbyRefused = "PantherTokenRotation RotationsFailed Kind=StandbyRefused"
        panther-token-rotation-StandbyLost    = "PantherTokenRotation RotationsFailed Kind=StandbyLost"
      },
    )
    error_message = "The alarms are not those of the contract."
  }
  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.function) :
      alarm.statistic == "Sum" && alarm.threshold == 1 && alarm.datapoints_to_alarm == 1 &&
      alarm.comparison_operator == "GreaterThanOrEqualToThreshold" && alarm.treat_missing_data == "notBreaching" &&
      alarm.dimensions.FunctionName == "panther-token-rotation"
    ])
    error_message = "An alarm does not go off at the first, or at other functions'."
  }
  # 240 seconds are four minutes.
  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.function), [aws_cloudwatch_metric_alarm.process_ended]) :
      alarm.evaluation_periods == 5 && (alarm.period == null || alarm.period == 60)
    ])
    error_message = "An alarm does not look back over the longest invocation and a minute more."
  }
  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.function), [aws_cloudwatch_metric_alarm.process_ended]) :
      strcontains(alarm.alarm_description, "deploy/docs/runbook.md#") && length(alarm.alarm_description) <= 1024
    ])
    error_message = "An alarm does not say where to read on, or says more than CloudWatch takes."
  }
  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.function["TokenLost"].alarm_description, "#tokenlost Secret and error: aws logs tail /aws/lambda/panther-token-rotation-1 --region eu-west-1 --since 1h --filter-pattern '{ $.kind = \"TokenLost\" }'")
    error_message = "The notification does not lead to the secret."
  }
  # Invocations that failed, less those that logged a kind.
  assert {
    condition = [
      for query in aws_cloudwatch_metric_alarm.process_ended.metric_query :
      query.expression if query.return_data == true
    ] == ["invocations - steps"]
    error_message = "The alarm on a process that ended counts failures that have a kind."
  }
  assert {
    condition = {
      for filter in aws_cloudwatch_log_metric_filter.failures :
      "${one(filter.metric_transformation).namespace} ${one(filter.metric_transformation).name} ${one(filter.metric_transformation).default_value}" => filter.pattern
      } == {
      "PantherTokenRotation/panther-token-rotation InvocationsFailed 0" = "{ $.type = \"platform.report\" && $.record.status != \"success\" }"
      "PantherTokenRotation/panther-token-rotation StepsFailed 0"       = "{ $.event = \"step_failed\" }"
    }
    error_message = "The log is counted otherwise than the alarm expects."
  }
}

run "a_longer_timeout" {
  variables {
    timeout = 301
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.function : alarm.evaluation_periods == 7])
    error_message = "An alarm does not look back over the longest invocation and a minute more."
  }
}

run "a_runbook_of_the_users" {
  variables {
    alarm_email = "security@example.com"
    runbook_url = "https://wiki.acme.net/rotation"
  }

  assert {
    condition = alltrue([
      for text in concat(
        [for alarm in aws_cloudwatch_metric_alarm.function : alarm.alarm_description],
        [aws_cloudwatch_metric_alarm.process_ended.alarm_description, aws_cloudwatch_metric_alarm.undelivered[0].alarm_description],
        [one(aws_cloudwatch_event_target.rotation_failed[0].input_transformer).input_template],
      ) : strcontains(text, "https://wiki.acme.net/rotation#")
    ])
    error_message = "A notification has another runbook."
  }
}

run "nobody_to_be_notified" {
  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.function), [aws_cloudwatch_metric_alarm.process_ended]) :
      length(alarm.alarm_actions) == 0 && length(alarm.ok_actions) == 0
    ])
    error_message = "An alarm acts though nobody is to be notified."
  }
  assert {
    condition = (
      length(aws_cloudwatch_event_rule.rotation_failed) == 0 && length(aws_cloudwatch_event_target.rotation_failed) == 0 &&
      length(aws_sns_topic.alarms) == 0 && length(aws_sns_topic_policy.alarms) == 0 && length(aws_sns_topic_subscription.email) == 0 &&
      length(aws_sqs_queue.undelivered) == 0 && output.alarm_topic_arn == null
    )
    error_message = "There is a rule, a topic or a queue though nobody is to be notified."
  }
}

run "a_topic_of_the_users" {
  variables {
    alarm_email     = ""
    alarm_topic_arn = "arn:aws:sns:eu-west-1:123456789012:pager"
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.function), [aws_cloudwatch_metric_alarm.process_ended, aws_cloudwatch_metric_alarm.undelivered[0]]) :
      alarm.alarm_actions == toset(["arn:aws:sns:eu-west-1:123456789012:pager"]) && alarm.ok_actions == alarm.alarm_actions
    ])
    error_message = "An alarm does not notify the topic, or not when it is over."
  }
  assert {
    condition     = aws_cloudwatch_event_target.rotation_failed[0].arn == "arn:aws:sns:eu-west-1:123456789012:pager"
    error_message = "The rule does not notify the topic."
  }
  assert {
    condition     = length(aws_sns_topic.alarms) == 0 && output.alarm_topic_arn == "arn:aws:sns:eu-west-1:123456789012:pager"
    error_message = "There is a second topic, or the output has another one."
  }
}

run "two_topics" {
  variables {
    alarm_email      = ""
    alarm_topic_arn  = "arn:aws:sns:eu-west-1:123456789012:pager"
    ticket_topic_arn = "arn:aws:sns:eu-west-1:123456789012:tickets"
  }

  assert {
    condition = {
      for alarm in concat(values(aws_cloudwatch_metric_alarm.function), [aws_cloudwatch_metric_alarm.process_ended, aws_cloudwatch_metric_alarm.undelivered[0]]) :
      element(split(":", one(alarm.alarm_actions)), 5) => trimprefix(alarm.alarm_name, "panther-token-rotation-")...
      } == {
      pager   = concat(keys(local.pages), ["throttles", "process-ended"])
      tickets = ["StandbyLost", "StandbyRefused", "errors", "seals-failed", "standby", "tickets", "undelivered"]
    }
    error_message = "A page is a ticket, or a ticket pages."
  }
  assert {
    condition     = aws_cloudwatch_event_target.rotation_failed[0].arn == "arn:aws:sns:eu-west-1:123456789012:tickets"
    error_message = "The rule pages. What needs a page has an alarm."
  }
}

run "undelivered_messages" {
  variables {
    alarm_email = "security@example.com"
  }

  assert {
    condition = (
      one(aws_cloudwatch_event_target.rotation_failed[0].dead_letter_config).arn == aws_sqs_queue.undelivered[0].arn &&
      aws_sqs_queue.undelivered[0].sqs_managed_sse_enabled &&
      aws_cloudwatch_metric_alarm.undelivered[0].dimensions == tomap({ QueueName = "panther-token-rotation-undelivered" })
    )
    error_message = "A message that is not delivered is lost, or nobody learns of it."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_policy.undelivered[0].policy).Statement[0].Condition == { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.rotation_failed[0].arn } }
    error_message = "Other rules may put messages into the queue."
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
    error_message = "An alarm does not notify the address."
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

run "any_secret_if_none_is_named" {
  variables {
    alarm_email = "security@example.com"
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

run "further_secrets_alone" {
  variables {
    alarm_email         = "security@example.com"
    further_secret_arns = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/further-AbCdEf"]
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.rotation_failed[0].event_pattern).detail["$or"] == [
      { additionalEventData = { SecretId = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/further-AbCdEf"] } },
      { responseElements = { arn = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/further-AbCdEf"] } },
      { responseElements = { aRN = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/further-AbCdEf"] } },
    ]
    error_message = "The rule watches other secrets than the further ones."
  }
}

run "secrets_in_another_account" {
  variables {
    alarm_email       = "security@example.com"
    secret_account_id = "210987654321"
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.rotation_failed) == 0 && length(aws_sqs_queue.undelivered) == 0
    error_message = "A rule here watches secrets of this account. CloudTrail records the rotation in the other one."
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
      "The longest step, next to the timeout",
      "Daily checks, and problems they found",
      "Last rotations",
      "Last failures",
    ]
    error_message = "The dashboard does not show what the contract asks for."
  }
  assert {
    condition = [for metric in jsondecode(aws_cloudwatch_dashboard.function.dashboard_body).widgets[1].properties.metrics : slice(metric, 0, 4)] == [
      for name in ["RotationsSucceeded", "RotationsFailed", "TokensNotStored", "SealsFailed"] : ["PantherTokenRotation", name, "FunctionName", "panther-token-rotation"]
    ]
    error_message = "The dashboard shows other metrics than the function's."
  }
  assert {
    condition     = startswith(jsondecode(aws_cloudwatch_dashboard.function.dashboard_body).widgets[7].properties.query, "SOURCE '/aws/lambda/panther-token-rotation-1' | ")
    error_message = "The dashboard reads another log."
  }
  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.function.dashboard_body).widgets[0].properties.alarms) == length(local.pages) + 8
    error_message = "The dashboard does not show each alarm."
  }
}
