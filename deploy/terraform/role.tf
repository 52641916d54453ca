resource "aws_iam_role" "function" {
  name                 = "${var.function_name}-${local.region}" # roles are not regional, and another region may have one
  description          = "What ${var.function_name} may do"
  permissions_boundary = var.permissions_boundary_arn == "" ? null : var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # Lambda runs the function in the name of this role. Nobody else takes it on.
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
      # Secrets whose rotation names this function, so that adding a secret changes no policy. The second condition denies
      # another function that was given this role. Lambda sets the key for calls of the function's code:
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
      # The daily check must see that a secret names another function by now. Under the condition above, that would show
      # as AccessDenied alone. This reads no value.
      ], !local.checks_daily ? [] : [
      {
        Sid      = "DescribeTheListedSecrets"
        Effect   = "Allow"
        Action   = "secretsmanager:DescribeSecret"
        Resource = local.watched_secrets
      },
      ], [
      # The function's own log, and nobody else's.
      {
        Sid    = "WriteItsLog"
        Effect = "Allow"
        Action = [
          "logs:CreateLogStream",
          "logs:PutLogEvents",
        ]
        Resource = "${aws_cloudwatch_log_group.function.arn}:*"
      },
      # X-Ray knows no resources to name here. These two only add to traces, and read none.
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
      # Values are encrypted under the secret's key. Only by way of Secrets Manager, and only for secrets: the encryption
      # context names the secret's ARN.
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
      # Lambda itself makes the network interfaces, in the name of this role and before the function exists. Lambda
      # refuses a role whose permissions for them name resources.
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
      # The function's own code has no business there.
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
