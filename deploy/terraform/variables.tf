# Panther and the secret

variable "panther_api_url" {
  description = "API URL of your Panther instance, from Settings > API Tokens, such as https://api.acme.runpanther.net/public/graphql. The console's address or the bare domain will do, too."
  type        = string

  validation {
    condition     = can(regex("^(https://)?(([A-Za-z0-9-]{1,63}\\.)+([A-Za-z]{2,63}|[Xx][Nn]--[A-Za-z0-9-]{1,59})|([0-9]{1,3}\\.){3}[0-9]{1,3})(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$", var.panther_api_url))
    error_message = "panther_api_url must be an https URL without user, query or fragment, or a bare domain."
  }
}

variable "secret_id" {
  description = "ARN or name of the secret that holds the token, such as acme/panther. It must exist and have a value. Empty: the function alone, to which secrets are added by command. Never the token itself."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([A-Za-z0-9/_+=.@][A-Za-z0-9/_+=.@-]{0,511}|arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+)?$", var.secret_id))
    error_message = "secret_id must be the ARN or the name of a secret."
  }
}

variable "secret_token_key" {
  description = "Key of the token, where the secret is a JSON object. A secret that is not one is the token itself."
  type        = string
  default     = "PANTHER_API_TOKEN"
  nullable    = false

  validation {
    condition     = length(var.secret_token_key) >= 1 && length(var.secret_token_key) <= 256
    error_message = "secret_token_key must have 1 to 256 characters."
  }

  validation {
    condition     = trimspace(var.secret_token_key) == var.secret_token_key
    error_message = "secret_token_key must not begin or end with white space."
  }
}

variable "secret_standby_key" {
  description = "Key of the standby token, in a secret with two tokens. Empty means the key of the token followed by _STANDBY. A secret without this key has one token."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = length(var.secret_standby_key) <= 256
    error_message = "secret_standby_key must have at most 256 characters."
  }

  validation {
    condition     = trimspace(var.secret_standby_key) == var.secret_standby_key
    error_message = "secret_standby_key must not begin or end with white space."
  }
}

# When to rotate

variable "schedule_expression" {
  description = "When to rotate: rate(30 days), rate(12 hours) or cron(0 4 1 * ? *), in UTC. At most every 4 hours."
  type        = string
  default     = "rate(30 days)"
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\((1 day|[1-9][0-9]{0,2} days|([4-9]|[1-9][0-9]{1,2}) hours)\\)|cron\\(([0-9A-Za-z*?/,#-]+ ){5}[0-9A-Za-z*?/,#-]+\\))$", var.schedule_expression))
    error_message = "schedule_expression must be rate(N days), rate(N hours) with 4 hours at least, or cron(...) with six fields."
  }
}

variable "rotation_window" {
  description = "Hours after the scheduled time in which Secrets Manager may begin, such as 3h. Empty: the whole day, or the whole interval where it is in hours."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(([1-9]|1[0-9]|2[0-4])h)?$", var.rotation_window))
    error_message = "rotation_window must be in hours, 24h at most, such as 3h, or empty."
  }
}

variable "rotate_immediately" {
  description = "Rotate when the schedule is made or changed. false runs testSecret alone, which shows a wrong URL, token or network and leaves the token as it is."
  type        = bool
  default     = false
  nullable    = false
}

# Who is notified when something is wrong

variable "daily_check" {
  description = "Check the secrets that the variables name once a day, and alarm on problems and on a check that is missing. Without a secret there is no check."
  type        = bool
  default     = true
  nullable    = false
}

variable "alarm_email" {
  description = "Creates an SNS topic that sends alarms to this address, which has to be confirmed. Empty if you give alarm_topic_arn, none if nobody is to be notified."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(none|[^@\\s]+@[^@\\s]+\\.[^@\\s]+)?$", var.alarm_email))
    error_message = "alarm_email must be an e-mail address, or none."
  }
}

variable "alarm_topic_arn" {
  description = "ARN of your SNS topic for alarms. Its policy, and the policy of its key, must allow cloudwatch.amazonaws.com and events.amazonaws.com. AWS's default key does not."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+)?$", var.alarm_topic_arn))
    error_message = "alarm_topic_arn must be the ARN of an SNS topic (not a FIFO one), or empty."
  }
}

variable "ticket_topic_arn" {
  description = "ARN of your second SNS topic, for alarms that can wait for working hours. Empty: they go to the first."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+)?$", var.ticket_topic_arn))
    error_message = "ticket_topic_arn must be the ARN of an SNS topic (not a FIFO one), or empty."
  }
}

variable "runbook_url" {
  description = "Address of the runbook for notifications, such as the URL of your copy. The anchor of the section is appended."
  type        = string
  default     = "deploy/docs/runbook.md"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9:/._~%?&=@+-]{1,200}$", var.runbook_url))
    error_message = "runbook_url must be a URL without an anchor, of at most 200 characters."
  }
}

variable "further_secret_arns" {
  description = "ARNs of further secrets that this function rotates, for the daily check and the rule on failed rotations. To rotate another secret, use the output add_secret_command."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for arn in var.further_secret_arns : can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", arn))
    ])
    error_message = "further_secret_arns must be ARNs of secrets."
  }
}

# Keys and permissions

variable "kms_key_arns" {
  description = "ARNs of the customer managed KMS keys of the secrets. Empty, if they use AWS's own key. The keys' policies must let this account's roles in."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for arn in var.kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))
    ])
    error_message = "kms_key_arns must be ARNs of keys, such as arn:aws:kms:eu-west-1:123456789012:key/...; IAM knows no aliases."
  }
}

variable "recovery_recipient" {
  description = "age public key (age1...). With it, a new token is sealed into the log before it is stored, so that a process that dies with the token loses nothing. Keep the private key out of this account."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(age1[02-9ac-hj-np-z]{58}|age1pq1[02-9ac-hj-np-z]+)?$", var.recovery_recipient))
    error_message = "recovery_recipient must be a whole age public key, which begins with age1, or empty. Not the private key (AGE-SECRET-KEY-1)."
  }
}

variable "permissions_boundary_arn" {
  description = "ARN of the policy to set as the permissions boundary of the function's role. Empty: none."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+)?$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of an IAM policy, or empty."
  }
}

variable "secret_account_id" {
  description = "Id of the account of the secrets, 12 digits, if it is not this one. Then leave secret_id empty. See examples/cross-account, and \"Across accounts\" in deploy/docs/runbook.md."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([0-9]{12})?$", var.secret_account_id))
    error_message = "secret_account_id must be an AWS account id of 12 digits, or empty."
  }
}

variable "log_kms_key_arn" {
  description = "ARN of the KMS key that encrypts the log group. Its policy must allow the service logs.REGION.amazonaws.com. Empty: CloudWatch's own key."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)?$", var.log_kms_key_arn))
    error_message = "log_kms_key_arn must be the ARN of a KMS key, or empty."
  }
}

variable "topic_kms_key_arn" {
  description = "ARN of the KMS key that encrypts the topic made for alarm_email. Its policy must allow cloudwatch.amazonaws.com and events.amazonaws.com to use kms:GenerateDataKey and kms:Decrypt."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)?$", var.topic_kms_key_arn))
    error_message = "topic_kms_key_arn must be the ARN of a KMS key, or empty."
  }
}

variable "code_signing_config_arn" {
  description = "ARN of the function's code signing configuration. The zip must be signed and in S3 (lambda_s3). Empty: none."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:code-signing-config:csc-[a-z0-9]+)?$", var.code_signing_config_arn))
    error_message = "code_signing_config_arn must be the ARN of a code signing configuration, or empty."
  }
}

variable "tags" {
  description = "Tags of every resource that can have tags."
  type        = map(string)
  default     = {}
  nullable    = false
}

# Network

variable "subnet_ids" {
  description = "Ids of subnets with a route to a NAT gateway, if your token is bound to IP addresses. Give security_group_ids, too. Empty: no VPC."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "subnet_ids must be ids such as subnet-0123456789abcdef0."
  }
}

variable "security_group_ids" {
  description = "Ids of security groups that let the function reach port 443. Give subnet_ids, too. Empty: no VPC."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.security_group_ids : can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "security_group_ids must be ids such as sg-0123456789abcdef0."
  }
}

variable "environment" {
  description = "Further environment variables of the function: HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, AWS_USE_FIPS_ENDPOINT, AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SECRETS_MANAGER. Secrets are sent to these endpoints."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = length(setsubtract(keys(var.environment), [
      "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "AWS_USE_FIPS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    ])) == 0
    error_message = "environment may only have HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, AWS_USE_FIPS_ENDPOINT, AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SECRETS_MANAGER. Other settings have variables of their own."
  }

  validation {
    condition = (
      !strcontains(lookup(var.environment, "HTTPS_PROXY", ""), "@") && lookup(var.environment, "AWS_USE_FIPS_ENDPOINT", "true") == "true" &&
      startswith(lookup(var.environment, "AWS_ENDPOINT_URL", "https://"), "https://") &&
      startswith(lookup(var.environment, "AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://"), "https://")
    )
    error_message = "environment: endpoint URLs must begin with https://, AWS_USE_FIPS_ENDPOINT must be true, and HTTPS_PROXY must have no user or password."
  }
}

# Function

variable "lambda_zip" {
  description = "Path of the function's zip on this machine, as a release or \"make zip\" makes it, such as ../../build/panther-token-rotation-arm64.zip. Either this or lambda_s3."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.lambda_zip == "" ? true : fileexists(var.lambda_zip)
    error_message = "lambda_zip: there is no such file. \"make zip\" makes it."
  }
}

variable "lambda_s3" {
  description = "Where the function's zip is in S3, in this region: bucket, key, and version (the object's version id), by which Terraform sees that it changed. Either this or lambda_zip."
  type = object({
    bucket  = string
    key     = string
    version = optional(string)
  })
  default = null

  validation {
    condition     = var.lambda_s3 == null || try(length(var.lambda_s3.bucket) >= 3 && length(var.lambda_s3.key) >= 1, false)
    error_message = "lambda_s3 must name a bucket and a key."
  }
}

variable "lambda_sha256" {
  description = "SHA-256 of the function's zip in base64. A zip with another hash fails the plan, or the apply if it is in S3. Empty: the hash that the module's release names, or any zip if the module is not from a release."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([A-Za-z0-9+/]{43}=)?$", var.lambda_sha256))
    error_message = "lambda_sha256 must be a SHA-256 in base64, 44 characters: openssl dgst -sha256 -binary FILE | base64."
  }
}

variable "function_name" {
  description = "Name of the function, at most 40 characters; role, alarms and dashboard bear it, too. Give each deployment in a region its own. Changing it later strands the secrets that name the old one."
  type        = string
  default     = "panther-token-rotation"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,40}$", var.function_name))
    error_message = "function_name must be at most 40 letters, digits, hyphens and underscores."
  }
}

variable "architecture" {
  description = "arm64 or x86_64; what the zip was built for."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64."
  }
}

variable "timeout" {
  description = "Seconds an invocation may take, 240 to 900: the propagation timeout and a minute, if that is more than 240. The function refuses to rotate if too little is left."
  type        = number
  default     = 240
  nullable    = false

  validation {
    condition     = var.timeout >= 240 && var.timeout <= 900 && floor(var.timeout) == var.timeout
    error_message = "timeout must be a whole number of seconds from 240 to 900."
  }
}

variable "propagation_timeout" {
  description = "How long a fresh token may take to work before testSecret gives up, such as 90s, 3m or 2m30s; 14m at most."
  type        = string
  default     = "3m"
  nullable    = false

  validation {
    condition     = can(regex("^([1-9][0-9]{0,2}s|([1-9]|1[0-3])m([1-5]?[0-9]s)?|14m)$", var.propagation_timeout))
    error_message = "propagation_timeout must be a duration such as 90s, 3m or 2m30s, of 14m at most."
  }
}

variable "reserved_concurrency" {
  description = "Concurrent invocations that are reserved for the function and are its limit. null: none. At least the number of secrets that may rotate at the same time."
  type        = number
  default     = null

  validation {
    condition     = var.reserved_concurrency == null ? true : var.reserved_concurrency >= 1 && floor(var.reserved_concurrency) == var.reserved_concurrency
    error_message = "reserved_concurrency must be a whole number of at least 1, or null."
  }
}

variable "log_level" {
  description = "debug, info, warn or error. The runbook needs info."
  type        = string
  default     = "info"
  nullable    = false

  validation {
    condition     = contains(["debug", "info", "warn", "error"], var.log_level)
    error_message = "log_level must be debug, info, warn or error."
  }
}

variable "log_retention_days" {
  description = "Days to keep the log, of the numbers that CloudWatch knows. Sealed tokens are in it, if there is a recovery key."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition = contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days,
    )
    error_message = "log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}
