locals {
  makes_topic      = !contains(["", "none"], var.alarm_email)
  notifies         = local.makes_topic || var.alarm_topic_arn != ""
  topic_arn        = local.makes_topic ? one(aws_sns_topic.alarms[*].arn) : var.alarm_topic_arn
  ticket_topic_arn = var.ticket_topic_arn == "" ? local.topic_arn : var.ticket_topic_arn

  # CloudTrail records the rotation in the account of the secret. examples/cross-account has the rule for it.
  watches_rotations = local.notifies && var.secret_account_id == ""

  # Lambda dates a metric by the start of the invocation. So the alarms look back over the longest one and a minute more.
  periods = ceil(var.timeout / 60) + 1

  # The kinds of failure that page (internal/rotation/kinds.go). Each has an alarm, so that its name is the kind. A
  # notification has the description and the dimensions of the alarm. The secret is not a dimension: that would need a
  # metric and an alarm for each secret. The description has the command that shows it.
  pages = {
    NotStored      = "A new token could not be stored, and only the memory of one process holds it. Do not deploy, and change no setting of the function. Rotate the secret again, now."
    OutcomeUnknown = "An answer to rotateAPIToken was lost. The token may be rotated. Rotate the secret again."
    TokenLost      = "Panther rotated the token, but the answer with the new token never arrived. Readers have no working token."
    TokenRefused   = "Panther refuses the AWSCURRENT token, and no version holds a replacement. Readers have no working token."
    NotYetWorking  = "The new token does not work yet, and the old one is not known to work. Keep AWSPENDING."
    StaleSave      = "A value with the replaced token was put as AWSCURRENT during a rotation. Readers have no working token. Rotate the secret again, now."
    Superseded     = "The token in AWSPENDING is dead, and another version holds the living one. Rotate the secret again."
  }

  function_dimension = { FunctionName = aws_lambda_function.rotation.function_name }

  alarms = merge(
    {
      for kind, text in local.pages : kind => {
        severity  = "page"
        namespace = "PantherTokenRotation"
        # NotStored counts every token that could not be stored, whatever the step failed with afterwards.
        metric     = kind == "NotStored" ? "TokensNotStored" : "RotationsFailed"
        dimensions = merge(local.function_dimension, kind == "NotStored" ? {} : { Kind = kind })
        text       = text
        anchor     = lower(kind)
        pattern    = "{ $.kind = \"${kind}\" }"
      }
    },
    {
      throttles = {
        severity   = "page"
        namespace  = "AWS/Lambda"
        metric     = "Throttles"
        dimensions = local.function_dimension
        text       = "Secrets Manager could not invoke the function, because its concurrency is used up. A rotation that began may not continue."
        anchor     = "throttling"
        pattern    = ""
      }
      tickets = {
        severity   = "ticket"
        namespace  = "PantherTokenRotation"
        metric     = "RotationsFailed"
        dimensions = merge(local.function_dimension, { Severity = "ticket" })
        text       = "A rotation step failed, but no token is in danger. Act in working hours."
        anchor     = "the-kinds"
        pattern    = "{ $.event = \"step_failed\" }"
      }
      seals-failed = {
        severity   = "ticket"
        namespace  = "PantherTokenRotation"
        metric     = "SealsFailed"
        dimensions = local.function_dimension
        text       = "A new value was stored, but the log has no sealed copy of it."
        anchor     = "restore-a-sealed-token"
        pattern    = "{ $.event = \"seal_failed\" }"
      }
      # With two tokens in turn: the standby is dead or lost. The kinds StandbyRefused and StandbyLost are tickets as well.
      standby = {
        severity   = "ticket"
        namespace  = "PantherTokenRotation"
        metric     = "StandbysRefused"
        dimensions = local.function_dimension
        text       = "The standby token of a secret is dead. Readers are not affected, but the next rotation cannot start. Put a new standby."
        anchor     = "standbyrefused"
        pattern    = "{ $.event = \"standby_refused\" }"
      }
      # Counts every failed invocation, whatever its kind, and needs no log. The other alarms need one.
      errors = {
        severity   = "ticket"
        namespace  = "AWS/Lambda"
        metric     = "Errors"
        dimensions = local.function_dimension
        text       = "An invocation failed. Another alarm names the kind. If there is none, look at the log."
        anchor     = "the-three-commands-you-need"
        pattern    = "{ $.event = \"step_failed\" }"
      }
    },
    # Each kind has an alarm of its own, though both are tickets.
    {
      for kind in ["StandbyRefused", "StandbyLost"] : kind => {
        severity   = "ticket"
        namespace  = "PantherTokenRotation"
        metric     = "RotationsFailed"
        dimensions = merge(local.function_dimension, { Kind = kind })
        text       = "The standby token of a secret is dead or lost. Readers are not affected. Put a new standby."
        anchor     = lower(kind)
        pattern    = "{ $.kind = \"${kind}\" }"
      }
    },
    {
      for name, severity in local.checks_daily ? { check = "page", check-tickets = "ticket" } : {} : name => {
        severity                                         = severity
        namespace                                        = "PantherTokenRotation"
        metric                                           = "ProblemsFound"
        dimensions                                       = merge(local.function_dimension, { Severity = severity })
        text                                             = severity == "page" ? "The daily check found a problem that readers notice, or soon will." : "The daily check found a problem. Act in working hours."
        anchor                                           = "the-daily-check"
        pattern                                          = "{ $.event = \"problem_found\" }"
      }
    },
  )

  actions = {
    page   = local.notifies ? [local.topic_arn] : []
    ticket = local.notifies ? [local.ticket_topic_arn] : []
  }

  log_command = "aws logs tail ${aws_cloudwatch_log_group.function.name} --region ${local.region} --since 1h --filter-pattern"
}

resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.alarms

  alarm_name = "${var.function_name}-${each.key}"
  alarm_description = join(" ", concat(
    [each.value.text, "Runbook: ${var.runbook_url}#${each.value.anchor}"],
    each.value.pattern == "" ? [] : ["Secret and error: ${local.log_command} '${each.value.pattern}'"],
  ))
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = 60 # seconds
  evaluation_periods  = local.periods
  datapoints_to_alarm = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions[each.value.severity]
  ok_actions          = local.actions[each.value.severity]
  tags                = var.tags
}

# Failures without a kind: the process ended or timed out. This is the number of failed invocations minus the number of
# steps that logged their failure. Both come from the log, so their dates agree. The dates of Lambda's metric Errors differ.
resource "aws_cloudwatch_log_metric_filter" "failures" {
  for_each = {
    InvocationsFailed = "{ $.type = \"platform.report\" && $.record.status != \"success\" }"
    StepsFailed       = "{ $.event = \"step_failed\" }"
  }

  name           = each.key
  log_group_name = aws_cloudwatch_log_group.function.name
  pattern        = each.value

  metric_transformation {
    namespace     = "PantherTokenRotation/${var.function_name}"
    name          = each.key
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "process_ended" {
  alarm_name          = "${var.function_name}-process-ended"
  alarm_description   = "The function's process ended or timed out, perhaps with a new token in memory. There is no kind of failure. Runbook: ${var.runbook_url}#no-kind Secret and error: ${local.log_command} '${aws_cloudwatch_log_metric_filter.failures["InvocationsFailed"].pattern}'"
  evaluation_periods  = local.periods
  datapoints_to_alarm = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions.page
  ok_actions          = local.actions.page
  tags                = var.tags

  metric_query {
    id          = "unexplained"
    expression  = "invocations - steps"
    label       = "invocations that failed without a kind"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { invocations = "InvocationsFailed", steps = "StepsFailed" }
    content {
      id = metric_query.key
      metric {
        namespace   = "PantherTokenRotation/${var.function_name}"
        metric_name = metric_query.value
        period      = 60
        stat        = "Sum"
      }
    }
  }
}

# Secrets Manager records RotationFailed in CloudTrail, even if it could not invoke the function. The account needs a
# trail. The events have the secret's ARN as arn, aRN or SecretId. If no variable names a secret, the rule matches every
# secret of the account.
resource "aws_cloudwatch_event_rule" "rotation_failed" {
  count = local.watches_rotations ? 1 : 0

  name        = "${var.function_name}-rotation-failed"
  description = "Secrets Manager gave up a rotation, or a test of one. Needs a CloudTrail trail in the account."
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["aws.secretsmanager"]
    detail-type = ["AWS Service Event via CloudTrail"]
    detail = merge(
      {
        eventSource = ["secretsmanager.amazonaws.com"]
        eventName   = ["RotationFailed", "TestRotationFailed", "RotationAbandoned"]
      },
      var.secret_id == "" && length(var.further_secret_arns) == 0 ? null : {
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
  count = local.watches_rotations ? 1 : 0

  rule      = aws_cloudwatch_event_rule.rotation_failed[0].name
  target_id = "topic"
  arn       = local.ticket_topic_arn

  dead_letter_config {
    arn = aws_sqs_queue.undelivered[0].arn
  }

  input_transformer {
    input_paths = {
      event   = "$.detail.eventName"
      secret  = "$.detail.additionalEventData.SecretId"
      account = "$.account"
      region  = "$.region"
      time    = "$.time"
    }
    input_template = "\"Secrets Manager recorded <event> for <secret> (account <account>, <region>) at <time>. If the function was invoked, its log has the reason. Runbook: ${var.runbook_url}#the-three-commands-you-need\""
  }
}

# Messages that EventBridge could not deliver to the topic.
resource "aws_sqs_queue" "undelivered" {
  # checkov:skip=CKV_AWS_27: SQS encrypts it with its own key. No message holds a secret.
  count = local.watches_rotations ? 1 : 0

  name                      = "${var.function_name}-undelivered"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 1209600                                        # 14 days, the longest
  redrive_allow_policy      = jsonencode({ redrivePermission = "allowAll" }) # says that this is a dead-letter queue
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "undelivered" {
  count = local.watches_rotations ? 1 : 0

  queue_url = aws_sqs_queue.undelivered[0].url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "LetTheRuleSend"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.undelivered[0].arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.rotation_failed[0].arn } }
    }]
  })
}

resource "aws_cloudwatch_metric_alarm" "undelivered" {
  count = local.watches_rotations ? 1 : 0

  alarm_name          = "${var.function_name}-undelivered"
  alarm_description   = "A message on a failed rotation could not be delivered to the topic. Compare the policies of the topic and its key. Runbook: ${var.runbook_url}#metrics-and-alarms"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.undelivered[0].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = local.periods
  datapoints_to_alarm = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions.ticket
  ok_actions          = local.actions.ticket
  tags                = var.tags
}

resource "aws_sns_topic" "alarms" {
  # checkov:skip=CKV_AWS_26: Alarms cannot publish to a topic under AWS's default key, and no message holds a secret. Variable topic_kms_key_arn sets a key.
  count = local.makes_topic ? 1 : 0

  name              = "${var.function_name}-alarms"
  kms_master_key_id = var.topic_kms_key_arn == "" ? null : var.topic_kms_key_arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "alarms" {
  count = local.makes_topic ? 1 : 0

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
      # The rule above. EventBridge does not support conditions in the policy of an SNS topic:
      # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
      # A rule of another account could send messages to this topic, and nothing else.
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
  count = local.makes_topic ? 1 : 0

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.alarm_email
}
