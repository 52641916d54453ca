locals {
  # One metric of the function's own, by its name.
  metric = {
    for name in [
      "RotationsSucceeded", "RotationsFailed", "TokensNotStored", "SealsFailed", "PropagationTime", "OutageTime",
      "ChecksCompleted", "SecretsChecked", "ProblemsFound", "StandbysRefused",
    ] :
    name => ["PantherTokenRotation", name, "FunctionName", var.function_name]
  }

  dashboard_name = "${var.function_name}-${local.region}" # dashboards are global in an account

  log_source = "SOURCE '${aws_cloudwatch_log_group.function.name}'"
}

resource "aws_cloudwatch_dashboard" "function" {
  dashboard_name = local.dashboard_name

  dashboard_body = jsonencode({
    widgets = [
      {
        type = "alarm", x = 0, y = 0, width = 24, height = 4
        properties = {
          title  = "Alarms"
          alarms = concat([for alarm in aws_cloudwatch_metric_alarm.function : alarm.arn], [aws_cloudwatch_metric_alarm.process_ended.arn], aws_cloudwatch_metric_alarm.heartbeat[*].arn)
        }
      },
      {
        type = "metric", x = 0, y = 4, width = 12, height = 6
        properties = {
          title  = "Rotations a day"
          region = local.region
          view   = "bar"
          stat   = "Sum"
          period = 86400
          metrics = [
            concat(local.metric.RotationsSucceeded, [{ label = "succeeded", color = "#2ca02c" }]),
            concat(local.metric.RotationsFailed, [{ label = "failed steps", color = "#d62728" }]),
            concat(local.metric.TokensNotStored, [{ label = "tokens not stored", color = "#9467bd" }]),
            concat(local.metric.SealsFailed, [{ label = "values not sealed", color = "#8c564b" }]),
          ]
        }
      },
      {
        type = "metric", x = 12, y = 4, width = 12, height = 6
        properties = {
          title   = "Failed steps by kind, a day"
          region  = local.region
          view    = "timeSeries"
          stacked = true
          metrics = [[{
            id         = "kinds"
            period     = 86400
            expression = "SEARCH('{PantherTokenRotation,FunctionName,Kind,Step} MetricName=\"RotationsFailed\" FunctionName=\"${var.function_name}\"', 'Sum', 86400)"
          }]]
        }
      },
      {
        type = "metric", x = 0, y = 10, width = 8, height = 6
        properties = {
          title   = "How long a new token took to work"
          region  = local.region
          view    = "timeSeries"
          stat    = "Maximum"
          period  = 3600
          metrics = [local.metric.PropagationTime]
          yAxis   = { left = { min = 0, label = "ms", showUnits = false } }
        }
      },
      {
        type = "metric", x = 8, y = 10, width = 8, height = 6
        properties = {
          title   = "How long readers had a dead token"
          region  = local.region
          view    = "timeSeries"
          stat    = "Maximum"
          period  = 3600
          metrics = [local.metric.OutageTime]
          yAxis   = { left = { min = 0, label = "ms", showUnits = false } }
        }
      },
      {
        type = "metric", x = 16, y = 10, width = 8, height = 6
        properties = {
          title  = "The longest step, next to the timeout"
          region = local.region
          view   = "timeSeries"
          stat   = "Maximum"
          period = 3600
          metrics = [
            ["AWS/Lambda", "Duration", "FunctionName", var.function_name, { id = "ms", visible = false }],
            [{ expression = "ms / 1000", label = "seconds" }],
          ]
          yAxis       = { left = { min = 0, label = "s", showUnits = false } }
          annotations = { horizontal = [{ label = "timeout", value = var.timeout }] }
        }
      },
      {
        type = "metric", x = 0, y = 16, width = 24, height = 4
        properties = {
          title  = "Daily checks, and problems they found"
          region = local.region
          view   = "bar"
          stat   = "Sum"
          period = 86400
          metrics = [
            concat(local.metric.ChecksCompleted, [{ label = "checks of every secret", color = "#2ca02c" }]),
            concat(local.metric.SecretsChecked, [{ label = "secrets checked" }]),
            concat(local.metric.ProblemsFound, [{ label = "problems", color = "#d62728" }]),
            concat(local.metric.StandbysRefused, [{ label = "dead standby tokens", color = "#9467bd" }]),
          ]
        }
      },
      {
        type = "log", x = 0, y = 20, width = 24, height = 6
        properties = {
          title  = "Last rotations"
          region = local.region
          view   = "table"
          query  = "${local.log_source} | filter event = \"current_moved\" | fields @timestamp, secret, version, outage_ms | sort @timestamp desc | limit 20"
        }
      },
      {
        type = "log", x = 0, y = 26, width = 24, height = 6
        properties = {
          title  = "Last failures"
          region = local.region
          view   = "table"
          query  = "${local.log_source} | filter event = \"step_failed\" | fields @timestamp, kind, step, secret, version, error | sort @timestamp desc | limit 20"
        }
      },
    ]
  })
}
