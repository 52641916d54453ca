locals {
  rotation_rules = merge(
    { ScheduleExpression = var.schedule_expression },
    var.rotation_window == "" ? {} : { Duration = var.rotation_window },
  )
  secrets_manager = "aws secretsmanager %s --region ${local.region} --secret-id"
}

output "function_arn" {
  description = "What a secret's rotation has to name."
  value       = aws_lambda_function.rotation.arn
}

output "function_name" {
  description = "Name of the function."
  value       = aws_lambda_function.rotation.function_name
}

output "role_arn" {
  description = "What the policies of keys, and of secrets in another account, have to name."
  value       = aws_iam_role.function.arn
}

output "alarm_topic_arn" {
  description = "The topic that takes the pages, and the tickets too unless ticket_topic_arn is given. null if nobody is notified."
  value       = local.notifies ? local.topic_arn : null
}

output "log_group_name" {
  description = "The function's log. It stays when the rest is destroyed."
  value       = aws_cloudwatch_log_group.function.name
}

output "dashboard_url" {
  description = "The dashboard in the console. null in partitions whose console the module does not know."
  value = try("https://${local.region}.${ {
    aws        = "console.aws.amazon.com"
    aws-cn     = "console.amazonaws.cn"
    aws-us-gov = "console.amazonaws-us-gov.com"
  }[local.partition]}/cloudwatch/home?region=${local.region}#dashboards/dashboard/${local.dashboard_name}", null)
}

output "rotate_now_command" {
  description = "Rotates the secret now. Also the way to repeat a rotation that failed. null without secret_id."
  value       = var.secret_id == "" ? null : "${format(local.secrets_manager, "rotate-secret")} '${var.secret_id}'"
}

output "check_command" {
  description = "Shows when the secret was rotated, when it will be, and whether a rotation is under way (AWSPENDING). null without secret_id."
  value       = var.secret_id == "" ? null : "${format(local.secrets_manager, "describe-secret")} '${var.secret_id}' --query '[RotationEnabled, LastRotatedDate, NextRotationDate, VersionIdsToStages]'"
}

output "add_standby_guide" {
  description = "How to add a second API token to a secret, so that no reader notices a rotation."
  value       = "${var.runbook_url}#from-one-token-to-two-and-back"
}

output "roll_back_command" {
  description = "Stops rotating the secret and leaves its token as it is. Not while AWSPENDING is on a version of its own. See Roll back in deploy/docs/runbook.md. null without secret_id."
  value       = var.secret_id == "" ? null : "${format(local.secrets_manager, "cancel-rotate-secret")} '${var.secret_id}'"
}

output "add_secret_command" {
  description = "Lets this function rotate one more secret; put its name or ARN for SECRET. Tests it, and rotates it only when it is due."
  value       = "${format(local.secrets_manager, "rotate-secret")} SECRET --rotation-lambda-arn ${aws_lambda_function.rotation.arn} --rotation-rules '${jsonencode(local.rotation_rules)}' --no-rotate-immediately"
}
