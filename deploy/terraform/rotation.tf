# Any secret of the account may be rotated by the function; a source ARN would tie it to one.
resource "aws_lambda_permission" "secrets_manager" {
  statement_id   = "SecretsManager"
  function_name  = aws_lambda_function.rotation.function_name
  action         = "lambda:InvokeFunction"
  principal      = "secretsmanager.amazonaws.com"
  source_account = local.secret_account
}

# RotateSecret also requires lambda:InvokeFunction of its caller, who is in the account of the secret. Identity policies
# there decide who may.
resource "aws_lambda_permission" "caller" {
  count = var.secret_account_id == "" ? 0 : 1

  statement_id  = "CallersOfRotateSecret"
  function_name = aws_lambda_function.rotation.function_name
  action        = "lambda:InvokeFunction"
  principal     = var.secret_account_id
}

# What the secret is called, and nothing of its value. The schedule below has to have the whole ARN: given a name, the
# provider would cancel the rotation and make it anew at every apply.
data "aws_secretsmanager_secret" "token" {
  count = var.secret_id == "" ? 0 : 1

  arn  = startswith(var.secret_id, "arn:") ? var.secret_id : null
  name = startswith(var.secret_id, "arn:") ? null : var.secret_id
}

# Secrets Manager invokes the function as soon as there is a schedule, so that it has to be allowed to by then, and the
# role has to be complete. Destroying this stops rotating and leaves the token as it is.
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
