# Each wrong variable is refused before anything is made.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
}

variables {
  panther_api_url = "acme.runpanther.net"
  lambda_zip      = "tests/stand-in.zip"
  alarm_email     = "security@example.com"
}

run "a_url_without_tls" {
  command = plan

  variables {
    panther_api_url = "http://api.acme.runpanther.net/public/graphql"
  }

  expect_failures = [var.panther_api_url]
}

run "a_url_with_a_token" {
  command = plan

  variables {
    panther_api_url = "https://token@api.acme.runpanther.net"
  }

  expect_failures = [var.panther_api_url]
}

run "a_token_with_a_dot_for_a_url" {
  command = plan

  variables {
    panther_api_url = "Zk3pQ8vR1xW6.yT9bN4mC7hJ2"
  }

  expect_failures = [var.panther_api_url]
}

run "a_token_key_with_a_space" {
  command = plan

  variables {
    secret_token_key = " PANTHER_API_TOKEN"
  }

  expect_failures = [var.secret_token_key]
}

run "a_standby_key_with_a_space" {
  command = plan

  variables {
    secret_standby_key = "STANDBY "
  }

  expect_failures = [var.secret_standby_key]
}

run "a_name_that_is_an_option" {
  command = plan

  variables {
    secret_id = "--secret"
  }

  expect_failures = [var.secret_id]
}

run "a_url_with_a_query" {
  command = plan

  variables {
    panther_api_url = "https://api.acme.runpanther.net/?a=b"
  }

  expect_failures = [var.panther_api_url]
}

run "no_url" {
  command = plan

  variables {
    panther_api_url = ""
  }

  expect_failures = [var.panther_api_url]
}

run "a_secret_with_a_space" {
  command = plan

  variables {
    secret_id = "acme panther"
  }

  expect_failures = [var.secret_id]
}

run "an_arn_of_something_else" {
  command = plan

  variables {
    secret_id = "arn:aws:ssm:eu-west-1:123456789012:parameter/panther"
  }

  expect_failures = [var.secret_id]
}

run "an_empty_key" {
  command = plan

  variables {
    secret_token_key = ""
  }

  expect_failures = [var.secret_token_key]
}

run "a_schedule_of_hours_too_often" {
  command = plan

  variables {
    schedule_expression = "rate(3 hours)"
  }

  expect_failures = [var.schedule_expression]
}

run "a_schedule_in_minutes" {
  command = plan

  variables {
    schedule_expression = "rate(300 minutes)"
  }

  expect_failures = [var.schedule_expression]
}

run "a_schedule_without_its_kind" {
  command = plan

  variables {
    schedule_expression = "30 days"
  }

  expect_failures = [var.schedule_expression]
}

run "a_cron_of_five_fields" {
  command = plan

  variables {
    schedule_expression = "cron(0 4 1 * *)"
  }

  expect_failures = [var.schedule_expression]
}

run "a_window_in_days" {
  command = plan

  variables {
    rotation_window = "1d"
  }

  expect_failures = [var.rotation_window]
}

run "an_address_without_a_domain" {
  command = plan

  variables {
    alarm_email = "security"
  }

  expect_failures = [var.alarm_email]
}

run "a_queue" {
  command = plan

  variables {
    alarm_topic_arn = "arn:aws:sqs:eu-west-1:123456789012:pager"
  }

  expect_failures = [var.alarm_topic_arn]
}

run "a_fifo_topic" {
  command = plan

  variables {
    alarm_topic_arn = "arn:aws:sns:eu-west-1:123456789012:pager.fifo"
  }

  expect_failures = [var.alarm_topic_arn]
}

run "a_further_secret_by_name" {
  command = plan

  variables {
    further_secret_arns = ["acme/further"]
  }

  expect_failures = [var.further_secret_arns]
}

run "a_key_by_alias" {
  command = plan

  variables {
    kms_key_arns = ["arn:aws:kms:eu-west-1:123456789012:alias/panther"]
  }

  expect_failures = [var.kms_key_arns]
}

run "any_key" {
  command = plan

  variables {
    kms_key_arns = ["*"]
  }

  expect_failures = [var.kms_key_arns]
}

run "the_private_key" {
  command = plan

  variables {
    recovery_recipient = "AGE-SECRET-KEY-1EXAMPLE"
  }

  expect_failures = [var.recovery_recipient]
}

run "half_a_recipient" {
  command = plan

  variables {
    recovery_recipient = "age1qqpqqpqqpqqpqqpqqpqq"
  }

  expect_failures = [var.recovery_recipient]
}

run "an_ssh_key" {
  command = plan

  variables {
    recovery_recipient = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"
  }

  expect_failures = [var.recovery_recipient]
}

run "a_role_as_boundary" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:role/boundary"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "an_account_by_alias" {
  command = plan

  variables {
    secret_account_id = "acme-security"
  }

  expect_failures = [var.secret_account_id]
}

run "a_subnet_by_name" {
  command = plan

  variables {
    subnet_ids = ["private-a"]
  }

  expect_failures = [var.subnet_ids]
}

run "a_security_group_by_name" {
  command = plan

  variables {
    security_group_ids = ["egress"]
  }

  expect_failures = [var.security_group_ids]
}

run "a_zip_that_is_not_there" {
  command = plan

  variables {
    lambda_zip = "build/no-such.zip"
  }

  expect_failures = [var.lambda_zip]
}

run "a_bucket_without_a_key" {
  command = plan

  variables {
    lambda_s3 = { bucket = "acme-artifacts", key = "" }
  }

  expect_failures = [var.lambda_s3]
}

run "a_name_that_is_too_long" {
  command = plan

  variables {
    function_name = "panther-token-rotation-of-the-acme-company"
  }

  expect_failures = [var.function_name]
}

run "a_name_with_a_dot" {
  command = plan

  variables {
    function_name = "panther.rotation"
  }

  expect_failures = [var.function_name]
}

run "go_s_name_of_an_architecture" {
  command = plan

  variables {
    architecture = "amd64"
  }

  expect_failures = [var.architecture]
}

run "lambda_s_default_timeout" {
  command = plan

  variables {
    timeout = 3
  }

  expect_failures = [var.timeout]
}

run "more_than_lambda_gives" {
  command = plan

  variables {
    timeout = 901
  }

  expect_failures = [var.timeout]
}

run "part_of_a_second" {
  command = plan

  variables {
    timeout = 240.5
  }

  expect_failures = [var.timeout]
}

run "a_number_without_a_unit" {
  command = plan

  variables {
    propagation_timeout = "180"
  }

  expect_failures = [var.propagation_timeout]
}

run "more_than_the_function_takes" {
  command = plan

  variables {
    propagation_timeout = "14m1s"
  }

  expect_failures = [var.propagation_timeout]
}

run "more_seconds_than_a_minute_has" {
  command = plan

  variables {
    propagation_timeout = "13m99s"
    timeout             = 900
  }

  expect_failures = [var.propagation_timeout]
}

run "a_level_of_another_library" {
  command = plan

  variables {
    log_level = "trace"
  }

  expect_failures = [var.log_level]
}

run "a_retention_that_cloudwatch_does_not_know" {
  command = plan

  variables {
    log_retention_days = 366
  }

  expect_failures = [var.log_retention_days]
}

# What depends on two variables is refused at the function.

run "no_code" {
  command = plan

  variables {
    lambda_zip = ""
  }

  expect_failures = [aws_lambda_function.rotation]
}

run "code_twice" {
  command = plan

  variables {
    lambda_s3 = { bucket = "acme-artifacts", key = "rotation.zip" }
  }

  expect_failures = [aws_lambda_function.rotation]
}

run "one_key_for_two_tokens" {
  command = plan

  variables {
    secret_standby_key = "PANTHER_API_TOKEN"
  }

  expect_failures = [aws_lambda_function.rotation]
}

run "a_zip_for_another_architecture" {
  command = plan

  variables {
    lambda_zip   = ""
    lambda_s3    = { bucket = "acme-artifacts", key = "panther-token-rotation-arm64.zip" }
    architecture = "x86_64"
  }

  expect_failures = [aws_lambda_function.rotation]
}

run "subnets_alone" {
  command = plan

  variables {
    subnet_ids = ["subnet-0123456789abcdef0"]
  }

  expect_failures = [aws_lambda_function.rotation]
}

run "security_groups_alone" {
  command = plan

  variables {
    security_group_ids = ["sg-0123456789abcdef0"]
  }

  expect_failures = [aws_lambda_function.rotation]
}

run "a_timeout_that_testsecret_outlives" {
  command = plan

  variables {
    propagation_timeout = "3m1s"
  }

  expect_failures = [aws_lambda_function.rotation]
}

run "a_schedule_in_another_account" {
  command = plan

  variables {
    secret_id         = "acme/panther"
    secret_account_id = "210987654321"
  }

  expect_failures = [aws_lambda_function.rotation]
}

run "nobody_by_omission" {
  command = plan

  variables {
    alarm_email = ""
  }

  expect_failures = [aws_lambda_function.rotation]
}

run "an_address_and_a_topic" {
  command = plan

  variables {
    alarm_topic_arn = "arn:aws:sns:eu-west-1:123456789012:pager"
  }

  expect_failures = [aws_lambda_function.rotation]
}

run "tickets_without_pages" {
  command = plan

  variables {
    alarm_email      = "none"
    ticket_topic_arn = "arn:aws:sns:eu-west-1:123456789012:tickets"
  }

  expect_failures = [aws_lambda_function.rotation]
}

run "fips_with_an_endpoint" {
  command = plan

  variables {
    environment = { AWS_USE_FIPS_ENDPOINT = "true", AWS_ENDPOINT_URL = "https://aws.acme.net" }
  }

  expect_failures = [aws_lambda_function.rotation]
}

run "a_variable_that_is_not_allowed" {
  command = plan

  variables {
    environment = { GODEBUG = "http2debug=2" }
  }

  expect_failures = [var.environment]
}

run "a_setting_with_a_variable_of_its_own" {
  command = plan

  variables {
    environment = { PANTHER_API_URL = "https://api.acme.runpanther.net" }
  }

  expect_failures = [var.environment]
}

run "an_endpoint_without_tls" {
  command = plan

  variables {
    environment = { AWS_ENDPOINT_URL_SECRETS_MANAGER = "http://sm.acme.net" }
  }

  expect_failures = [var.environment]
}

run "a_proxy_with_a_password" {
  command = plan

  variables {
    environment = { HTTPS_PROXY = "https://user:password@egress.acme.net" }
  }

  expect_failures = [var.environment]
}

run "no_concurrency" {
  command = plan

  variables {
    reserved_concurrency = 0
  }

  expect_failures = [var.reserved_concurrency]
}

run "a_log_key_by_alias" {
  command = plan

  variables {
    log_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:alias/logs"
  }

  expect_failures = [var.log_kms_key_arn]
}

run "aws_s_own_key_of_the_topic" {
  command = plan

  variables {
    topic_kms_key_arn = "alias/aws/sns"
  }

  expect_failures = [var.topic_kms_key_arn]
}

run "a_signing_profile" {
  command = plan

  variables {
    code_signing_config_arn = "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/acme"
  }

  expect_failures = [var.code_signing_config_arn]
}

run "a_runbook_with_an_anchor" {
  command = plan

  variables {
    runbook_url = "https://wiki.acme.net/runbook#top"
  }

  expect_failures = [var.runbook_url]
}

run "a_hash_in_hexadecimal" {
  command = plan

  variables {
    lambda_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  }

  expect_failures = [var.lambda_sha256]
}

run "a_zip_with_another_hash" {
  command = plan

  variables {
    lambda_sha256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
  }

  expect_failures = [aws_lambda_function.rotation]
}

# The edges of what is taken.

run "the_longest_that_lambda_allows" {
  command = plan

  variables {
    propagation_timeout = "14m"
    timeout             = 900
    schedule_expression = "rate(4 hours)"
    function_name       = "panther-token-rotation-of-the-acme-inc-1"
    panther_api_url     = "https://abcdef.execute-api.eu-west-1.amazonaws.com/v1/public/graphql"
  }
}
