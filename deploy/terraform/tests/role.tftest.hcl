# What the function may do, and who may run as it.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws-cn" }
  }
  mock_data "aws_region" {
    defaults = { id = "cn-north-1" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws-cn:logs:cn-north-1:123456789012:log-group:/aws/lambda/panther-token-rotation-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws-cn:iam::123456789012:role/panther-token-rotation-cn-north-1" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws-cn:lambda:cn-north-1:123456789012:function:panther-token-rotation" }
  }
}

variables {
  panther_api_url = "acme.runpanther.net"
  lambda_zip      = "tests/stand-in.zip"
  alarm_email     = "none"
}

run "least_privilege" {
  assert {
    condition = jsondecode(aws_iam_role_policy.rotation.policy).Statement[0] == {
      Sid    = "RotateSecretsThatNameThisFunction"
      Effect = "Allow"
      Action = [
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:ListSecretVersionIds",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
      ]
      Resource = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:*"
      Condition = {
        StringEquals = {
          "secretsmanager:resource/AllowRotationLambdaArn" = "arn:aws-cn:lambda:cn-north-1:123456789012:function:panther-token-rotation"
        }
        ArnEquals = {
          "lambda:SourceFunctionArn" = "arn:aws-cn:lambda:cn-north-1:123456789012:function:panther-token-rotation"
        }
      }
    }
    error_message = "The function may do more, or less, than rotate the secrets that name it."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.rotation.policy).Statement[1] == {
      Sid      = "WriteItsLog"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:aws-cn:logs:cn-north-1:123456789012:log-group:/aws/lambda/panther-token-rotation-1:*"
    }
    error_message = "The function may write elsewhere than to its own log."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.rotation.policy).Statement[2] == {
      Sid       = "WriteTraces"
      Effect    = "Allow"
      Action    = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
      Resource  = "*"
      Condition = { StringEquals = { "aws:RequestedRegion" = "cn-north-1" } }
    }
    error_message = "Traces go elsewhere than to this region."
  }
  assert {
    condition     = length(jsondecode(aws_iam_role_policy.rotation.policy).Statement) == 3
    error_message = "There is a statement that no test knows."
  }
  assert {
    condition     = length(aws_iam_role_policy.keys) == 0 && length(aws_iam_role_policy.vpc) == 0 && length(aws_lambda_permission.caller) == 0
    error_message = "The function may use keys or a VPC that nobody gave it."
  }
  assert {
    condition     = aws_iam_role.function.permissions_boundary == null
    error_message = "There is a boundary that nobody set."
  }
}

run "trust" {
  assert {
    condition = jsondecode(aws_iam_role.function.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
    error_message = "A principal other than Lambda takes the role on."
  }
}

run "the_function_that_is_named_is_the_one_that_is_made" {
  variables {
    function_name = "rotate-panther"
  }

  assert {
    condition = (
      jsondecode(aws_iam_role_policy.rotation.policy).Statement[0].Condition.StringEquals["secretsmanager:resource/AllowRotationLambdaArn"] ==
      "arn:aws-cn:lambda:cn-north-1:123456789012:function:rotate-panther"
    )
    error_message = "The role is bound to another function's secrets."
  }
}

run "keys" {
  variables {
    kms_key_arns = [
      "arn:aws-cn:kms:cn-north-1:123456789012:key/12345678-1234-1234-1234-123456789012",
      "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234567890abcdef1234567890abcdef",
    ]
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.keys[0].policy).Statement == [{
      Sid    = "UseTheSecretsKeys"
      Effect = "Allow"
      Action = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = [
        "arn:aws-cn:kms:cn-north-1:123456789012:key/12345678-1234-1234-1234-123456789012",
        "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234567890abcdef1234567890abcdef",
      ]
      Condition = {
        StringLike = {
          "kms:ViaService"                  = "secretsmanager.cn-north-1.*"
          "kms:EncryptionContext:SecretARN" = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:*"
        }
      }
    }]
    error_message = "The keys are open for more than Secrets Manager's secrets."
  }
}

run "vpc" {
  variables {
    subnet_ids         = ["subnet-0123456789abcdef0"]
    security_group_ids = ["sg-0123456789abcdef0"]
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.vpc[0].policy).Statement[0] == {
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
      Condition = { StringEquals = { "aws:RequestedRegion" = "cn-north-1" } }
    }
    error_message = "Lambda cannot attach the function to the VPC, or may do more than that."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.vpc[0].policy).Statement[1] == {
      Sid      = "KeepTheCodeOutOfTheVpc"
      Effect   = "Deny"
      Action   = "ec2:*"
      Resource = "*"
      Condition = {
        ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws-cn:lambda:cn-north-1:123456789012:function:panther-token-rotation" }
      }
    }
    error_message = "The function's own code may change the VPC."
  }
  assert {
    condition     = length(jsondecode(aws_iam_role_policy.vpc[0].policy).Statement) == 2
    error_message = "There is a statement that no test knows."
  }
}

run "boundary" {
  variables {
    permissions_boundary_arn = "arn:aws-cn:iam::123456789012:policy/boundary"
  }

  assert {
    condition     = aws_iam_role.function.permissions_boundary == "arn:aws-cn:iam::123456789012:policy/boundary"
    error_message = "The role has no boundary."
  }
}

run "across_accounts" {
  variables {
    secret_account_id = "210987654321"
    kms_key_arns      = ["arn:aws-cn:kms:cn-north-1:210987654321:key/12345678-1234-1234-1234-123456789012"]
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.rotation.policy).Statement[0].Resource == "arn:aws-cn:secretsmanager:cn-north-1:210987654321:secret:*"
    error_message = "The role is for secrets of another account than the one given."
  }
  assert {
    condition = (
      jsondecode(aws_iam_role_policy.rotation.policy).Statement[0].Condition.StringEquals["secretsmanager:resource/AllowRotationLambdaArn"] ==
      "arn:aws-cn:lambda:cn-north-1:123456789012:function:panther-token-rotation"
    )
    error_message = "The function stays in this account."
  }
  assert {
    condition = (
      jsondecode(aws_iam_role_policy.keys[0].policy).Statement[0].Condition.StringLike["kms:EncryptionContext:SecretARN"] ==
      "arn:aws-cn:secretsmanager:cn-north-1:210987654321:secret:*"
    )
    error_message = "The keys are for secrets of another account than the one given."
  }
  assert {
    condition     = aws_lambda_permission.secrets_manager.source_account == "210987654321"
    error_message = "Secrets Manager of the other account may not invoke the function."
  }
  assert {
    condition     = one(aws_lambda_permission.caller[*].principal) == "210987654321" && aws_lambda_permission.caller[0].action == "lambda:InvokeFunction"
    error_message = "Nobody of the other account may call RotateSecret: that requires lambda:InvokeFunction."
  }
}
