locals {
  tells     = var.alarm_email != "" || var.alarm_topic_arn != ""
  topic_arn = var.alarm_email == "" ? var.alarm_topic_arn : one(aws_sns_topic.alarms[*].arn)

  alarms = {
    token-not-stored = {
      namespace   = "PantherTokenRotation"
      metric      = "TokensNotStored"
      period      = 60
      description = "The only living token is in the memory of a process. Do not deploy, and change no setting of the function: rotate the secret again, now. NotStored in deploy/docs/runbook.md."
    }
    errors = {
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      period      = 300
      description = "A rotation step failed or the process ended. Programs that read the secret may be shut out. The log says which kind it is, and deploy/docs/runbook.md what to do."
    }
    throttles = {
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      period      = 300
      description = "Secrets Manager could not invoke the function, for want of concurrency. A rotation that began may not go on. Throttling in deploy/docs/runbook.md."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.alarms

  alarm_name          = "${var.function_name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = { FunctionName = aws_lambda_function.rotation.function_name }
  statistic           = "Sum"
  period              = each.value.period # seconds
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.tells ? [local.topic_arn] : []
}

# What never reaches the function, Secrets Manager tells CloudTrail alone; the account needs a trail for it to come here.
# Some of its events have the secret's ARN as arn, others as aRN, those of rotation as SecretId. Without a secret among
# the variables, any secret of the account counts.
resource "aws_cloudwatch_event_rule" "rotation_failed" {
  count = local.tells ? 1 : 0

  name        = "${var.function_name}-rotation-failed"
  description = "Secrets Manager gave up a rotation, or a test of one. Needs a CloudTrail trail in the account."

  event_pattern = jsonencode({
    source      = ["aws.secretsmanager"]
    detail-type = ["AWS Service Event via CloudTrail"]
    detail = merge(
      {
        eventSource = ["secretsmanager.amazonaws.com"]
        eventName   = ["RotationFailed", "TestRotationFailed", "RotationAbandoned"]
      },
      var.secret_id == "" ? null : {
        "$or" = [
          { additionalEventData = { SecretId = local.watched_secrets } },
          { responseElements = { arn = local.watched_secrets } },
          { responseElements = { aRN = local.watched_secrets } },
        ]
      },
    )
  })
}

locals {
  watched_secrets = distinct(concat(data.aws_secretsmanager_secret.token[*].arn, var.further_secret_arns))
}

resource "aws_cloudwatch_event_target" "rotation_failed" {
  count = local.tells ? 1 : 0

  rule      = aws_cloudwatch_event_rule.rotation_failed[0].name
  target_id = "topic"
  arn       = local.topic_arn

  input_transformer {
    input_paths = {
      event   = "$.detail.eventName"
      secret  = "$.detail.additionalEventData.SecretId"
      account = "$.account"
      region  = "$.region"
      time    = "$.time"
    }
    input_template = "\"Secrets Manager recorded <event> for <secret> (account <account>, <region>) at <time>. The function's log says why, if it got so far: see deploy/docs/runbook.md.\""
  }
}

resource "aws_sns_topic" "alarms" {
  # checkov:skip=CKV_AWS_26: Alarms cannot publish to a topic under AWS's default key, and no message holds a secret.
  count = var.alarm_email == "" ? 0 : 1

  name = "${var.function_name}-alarms"
}

resource "aws_sns_topic_policy" "alarms" {
  count = var.alarm_email == "" ? 0 : 1

  arn = aws_sns_topic.alarms[0].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # The alarms of this account.
      {
        Sid       = "LetAlarmsPublish"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms[0].arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      # The rule above. No condition: AWS's documentation has said that EventBridge does not support one here, and then
      # messages would be missing without a word. A stranger's rule could send messages here, and no more.
      {
        Sid       = "LetEventsPublish"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms[0].arn
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  count = var.alarm_email == "" ? 0 : 1

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.alarm_email
}
