# The daily check. Its event names no secret: they are in the function's environment. The first check may come at once:
# by then the secret must name the function, or a deployment would alarm.

locals {
  checks_daily = var.daily_check && (var.secret_id != "" || length(var.further_secret_arns) > 0)
}

resource "aws_scheduler_schedule" "check" {
  # checkov:skip=CKV_AWS_297: The schedule's input holds no secret.
  count = local.checks_daily ? 1 : 0

  name                = "${var.function_name}-check"
  description         = "Has the function check the secrets that it rotates"
  schedule_expression = "rate(1 day)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.rotation.arn
    role_arn = aws_iam_role.check[0].arn
    input    = jsonencode({ Check = "secrets" })
  }

  depends_on = [aws_iam_role_policy.check, aws_secretsmanager_secret_rotation.token]
}

resource "aws_iam_role" "check" {
  count = local.checks_daily ? 1 : 0

  name                 = "${var.function_name}-check-${local.region}" # roles are not regional
  description          = "Lets the schedule invoke ${var.function_name}"
  permissions_boundary = var.permissions_boundary_arn == "" ? null : var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "check" {
  count = local.checks_daily ? 1 : 0

  name = "check"
  role = aws_iam_role.check[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "InvokeTheFunction"
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = aws_lambda_function.rotation.arn
    }]
  })
}

# Without a heartbeat for two days, the alarm changes from OK to INSUFFICIENT_DATA and pages. A new alarm starts in
# INSUFFICIENT_DATA, so a deployment does not page. The first heartbeat follows within a day.
resource "aws_cloudwatch_metric_alarm" "heartbeat" {
  count = local.checks_daily ? 1 : 0

  alarm_name                = "${var.function_name}-heartbeat"
  alarm_description         = "No daily check has looked at every secret for two days. A rotation that stopped would go unnoticed. Runbook: ${var.runbook_url}#heartbeat"
  namespace                 = "PantherTokenRotation"
  metric_name               = "ChecksCompleted"
  dimensions                = local.function_dimension
  statistic                 = "Sum"
  period                    = 3600 # seconds
  evaluation_periods        = 48
  datapoints_to_alarm       = 48
  threshold                 = 1
  comparison_operator       = "LessThanThreshold"
  treat_missing_data        = "missing"
  insufficient_data_actions = local.actions.page
  alarm_actions             = local.actions.page
  ok_actions                = local.actions.page
  tags                      = var.tags
}
