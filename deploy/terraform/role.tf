resource "aws_iam_role" "function" {
  name                 = "${var.function_name}-${local.region}" # roles are not regional, and another region may have one
  description          = "What ${var.function_name} may do"
  permissions_boundary = var.permissions_boundary_arn == "" ? null : var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # Only Lambda assumes this role.
      {
        Effect    = "Allow"
        Principal = { Service = "lambda.amazonaws.com" }
        Action    = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "rotation" {
  name = "rotation"
  role = aws_iam_role.function.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      # Secrets whose rotation names this function. Adding a secret changes no policy. The second condition denies every
      # other function that has this role. Lambda sets this key for calls from the function's code:
      # https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
      {
        Sid    = "RotateSecretsThatNameThisFunction"
        Effect = "Allow"
        Action = [
          "secretsmanager:DescribeSecret",
          "secretsmanager:GetSecretValue",
          "secretsmanager:ListSecretVersionIds",
          "secretsmanager:PutSecretValue",
          "secretsmanager:UpdateSecretVersionStage",
        ]
        Resource = local.secrets
        Condition = {
          StringEquals = { "secretsmanager:resource/AllowRotationLambdaArn" = local.function_arn }
          ArnEquals    = { "lambda:SourceFunctionArn" = local.function_arn }
        }
      },
      # The daily check must notice that a secret names another function. With the condition above, the check would only
      # see AccessDenied. DescribeSecret returns no value.
      ], !local.checks_daily ? [] : [
      {
        Sid      = "DescribeTheListedSecrets"
        Effect   = "Allow"
        Action   = "secretsmanager:DescribeSecret"
        Resource = local.watched_secrets
      },
      ], [
      # Only the function's own log group.
      {
        Sid    = "WriteItsLog"
        Effect = "Allow"
        Action = [
          "logs:CreateLogStream",
          "logs:PutLogEvents",
        ]
        Resource = "${aws_cloudwatch_log_group.function.arn}:*"
      },
      # These actions support no resources. They write traces and read none.
      {
        Sid    = "WriteTraces"
        Effect = "Allow"
        Action = [
          "xray:PutTelemetryRecords",
          "xray:PutTraceSegments",
        ]
        Resource  = "*"
        Condition = { StringEquals = { "aws:RequestedRegion" = local.region } }
      },
    ])
  })
}

resource "aws_iam_role_policy" "keys" {
  count = length(var.kms_key_arns) > 0 ? 1 : 0

  name = "keys"
  role = aws_iam_role.function.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # The keys that encrypt the secrets, for calls that Secrets Manager makes for a secret: its encryption context has
      # the secret's ARN.
      {
        Sid    = "UseTheSecretsKeys"
        Effect = "Allow"
        Action = [
          "kms:Decrypt",
          "kms:GenerateDataKey",
        ]
        Resource = var.kms_key_arns
        Condition = {
          StringLike = {
            "kms:ViaService"                  = "secretsmanager.${local.region}.*"
            "kms:EncryptionContext:SecretARN" = local.secrets
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "vpc" {
  count = local.in_vpc ? 1 : 0

  name = "vpc"
  role = aws_iam_role.function.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # Lambda creates the network interfaces with this role, before the function exists. Lambda rejects a role that
      # restricts these actions to resources.
      {
        Sid    = "LetLambdaAttachToTheVpc"
        Effect = "Allow"
        Action = [
          "ec2:AssignPrivateIpAddresses",
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
          "ec2:UnassignPrivateIpAddresses",
        ]
        Resource  = "*"
        Condition = { StringEquals = { "aws:RequestedRegion" = local.region } }
      },
      # The function's code needs none of these actions.
      {
        Sid       = "KeepTheCodeOutOfTheVpc"
        Effect    = "Deny"
        Action    = "ec2:*"
        Resource  = "*"
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.function_arn } }
      },
    ]
  })
}
