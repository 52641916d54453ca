# The function rotates any secret of the account. A source ARN would restrict it to one.
resource "aws_lambda_permission" "secrets_manager" {
  statement_id   = "SecretsManager"
  function_name  = aws_lambda_function.rotation.function_name
  action         = "lambda:InvokeFunction"
  principal      = "secretsmanager.amazonaws.com"
  source_account = local.secret_account
}

# The caller of RotateSecret also needs lambda:InvokeFunction. The caller is in the account of the secret, and identity
# policies there decide.
resource "aws_lambda_permission" "caller" {
  count = var.secret_account_id == "" ? 0 : 1

  statement_id  = "CallersOfRotateSecret"
  function_name = aws_lambda_function.rotation.function_name
  action        = "lambda:InvokeFunction"
  principal     = var.secret_account_id
}

# Reads the secret's ARN, not its value. The schedule below needs the whole ARN: with a name, the provider would cancel
# and create the rotation again at every apply.
data "aws_secretsmanager_secret" "token" {
  count = var.secret_id == "" ? 0 : 1

  arn  = startswith(var.secret_id, "arn:") ? var.secret_id : null
  name = startswith(var.secret_id, "arn:") ? null : var.secret_id
}

# Secrets Manager invokes the function as soon as a schedule exists, so the permission and the role must be complete first.
# Destroying this stops the rotation and does not change the token.
resource "aws_secretsmanager_secret_rotation" "token" {
  count = var.secret_id == "" ? 0 : 1

  secret_id           = data.aws_secretsmanager_secret.token[0].arn
  rotation_lambda_arn = aws_lambda_function.rotation.arn
  rotate_immediately  = var.rotate_immediately

  rotation_rules {
    schedule_expression = var.schedule_expression
    duration            = var.rotation_window == "" ? null : var.rotation_window
  }

  depends_on = [aws_lambda_permission.secrets_manager]
}
