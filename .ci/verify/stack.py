"""Creates the stack of template.yaml in an emulated account, and reads it back through the AWS API.

    python stack.py TEMPLATE ZIP

The SAM transform is AWS's own, the account is moto's. Prints a line for each thing that was checked, and fails at the
first that is not so.
"""

import json
import logging
import os
import sys

import boto3
from moto.events.models import EventPattern
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

import checks
from checks import same
from emulator import emulated_account, resolved
from text import check_cross_account, check_text

ACCOUNT = "123456789012"
NAME = "panther-token-rotation"
URL = "https://api.acme.runpanther.net/public/graphql"
ACTIONS = ["DescribeSecret", "GetSecretValue", "ListSecretVersionIds", "PutSecretValue", "UpdateSecretVersionStage"]


class Stack:
    """The stack as deployed in a region with the given parameters; its attributes are the clients to look at it."""

    def __init__(self, template, region, name, **parameters):
        checks.of(f"{name}, in {region}")
        self.region = region
        self.partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
        for service in ["cloudformation", "cloudwatch", "events", "iam", "lambda", "logs", "s3", "secretsmanager", "sns"]:
            # moto does not see the partition in the name of IAM's other hosts, but in the signature.
            host = "https://iam.amazonaws.com" if service == "iam" else None
            client = boto3.client(service, region_name=region, endpoint_url=host)
            setattr(self, "functions" if service == "lambda" else service, client)

        parameters = {"PantherApiUrl": URL, **({} if "AlarmTopicArn" in parameters else {"AlarmEmail": "none"}), **parameters}
        os.environ["AWS_DEFAULT_REGION"] = region  # where the transform looks
        body = transform(template(), parameters, NoManagedPolicies())
        # The bucket is made as sam deploy makes one.
        self.cloudformation.create_stack(
            StackName="rotation",
            TemplateBody=json.dumps(body),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        )
        stack = self.cloudformation.describe_stacks(StackName="rotation")["Stacks"][0]
        same("the stack is made", stack["StackStatus"], "CREATE_COMPLETE")
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
        self.resources = {
            r["LogicalResourceId"]: r.get("PhysicalResourceId")
            for r in self.cloudformation.describe_stack_resources(StackName="rotation")["StackResources"]
            if "LogicalResourceId" in r  # moto lists those whose condition is false, too
        }
        self.function = self.functions.get_function_configuration(FunctionName=parameters.get("FunctionName", NAME))
        self.resolved = resolved[region]
        self.alarms = {p["AlarmName"].removeprefix(self.function["FunctionName"] + "-"): p
                       for p in self.resolved.values() if p["Type"] == "AWS::CloudWatch::Alarm"}

    def arn(self, service, rest, account=ACCOUNT):
        return f"arn:{self.partition}:{service}:{self.region}:{account}:{rest}"

    def statements(self):
        """The role's statements by Sid, of all its policies."""
        role = self.resources["FunctionRole"]
        found = {}
        for policy in self.iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = self.iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            found.update({s["Sid"]: s for s in document["Statement"]})
        same("the role has no policy attached besides its own",
             self.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"], [])
        return found

class NoManagedPolicies:
    """The template names none by their short names."""

    def load(self):
        return {}


def check_wildcards(statements):
    allowed = [s for s in statements.values() if s["Effect"] == "Allow"]
    same("no statement has a wildcard that no condition binds",
         [s["Sid"] for s in allowed if not s.get("Condition") and wide(s["Resource"])], [])
    same("no action has a wildcard", [s["Sid"] for s in allowed if "*" in json.dumps(s["Action"])], [])


def wide(resources):
    """Whether these are more than one thing. The end of a log group's ARN stands for its streams."""
    resources = [resources] if isinstance(resources, str) else resources
    return any("*" in (r.removesuffix(":*") if ":log-group:" in r else r) for r in resources)


def check_function_alone(template, region):
    """What everybody gets, without a secret among the parameters."""
    stack = Stack(template, region, "the function alone")
    function = stack.function
    same("runtime, architecture, handler", [function["Runtime"], function["Architectures"], function["Handler"]],
         ["provided.al2023", ["arm64"], "bootstrap"])
    same("240 seconds, 256 MB", [function["Timeout"], function["MemorySize"]], [240, 256])
    same("JSON logging into its own log group, tracing",
         [stack.functions.list_tags(Resource=function["FunctionArn"])["Tags"], function["TracingConfig"]],
         [{"asked/LogFormat": "JSON", "asked/ApplicationLogLevel": "INFO", "asked/LogGroup": stack.resources["LogGroup"]},
          {"Mode": "Active"}])
    same("settings", function["Environment"]["Variables"], {
        "PANTHER_API_URL": URL, "SECRET_TOKEN_KEY": "PANTHER_API_TOKEN", "SECRET_STANDBY_KEY": "", "PROPAGATION_TIMEOUT": "3m",
        "RECOVERY_RECIPIENT": "", "LOG_LEVEL": "info", "CHECK_SECRETS": ""})
    group = stack.logs.describe_log_groups()["logGroups"][0]
    same("the log is kept for a year", group["retentionInDays"], 365)
    same("and found by the function's name, also the log of an earlier stack",
         [group["logGroupName"].rpartition("-")[0], len(group["logGroupName"].rpartition("-")[2])], [f"/aws/lambda/{NAME}", 8])

    statements = stack.statements()
    check_wildcards(statements)
    same("no more than it needs", sorted(statements), ["RotateSecretsThatNameThisFunction", "WriteItsLog", "WriteTraces"])
    secrets = statements["RotateSecretsThatNameThisFunction"]
    same("five actions on secrets", secrets["Action"], ["secretsmanager:" + a for a in ACTIONS])
    same("on secrets of this account and region", secrets["Resource"], stack.arn("secretsmanager", "secret:*"))
    same("whose rotation names this function, if the function itself asks", secrets["Condition"],
         {"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn": stack.arn("lambda", f"function:{NAME}")},
          "ArnEquals": {"lambda:SourceFunctionArn": stack.arn("lambda", f"function:{NAME}")}})
    same("its own log only",
         [statements["WriteItsLog"]["Action"], statements["WriteItsLog"]["Resource"].removesuffix(":*")],
         [["logs:CreateLogStream", "logs:PutLogEvents"], group["arn"].removesuffix(":*")])
    same("traces in this region, and none to read", [statements["WriteTraces"][k] for k in ["Action", "Resource", "Condition"]],
         [["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*", {"StringEquals": {"aws:RequestedRegion": region}}])
    trust = stack.iam.get_role(RoleName=stack.resources["FunctionRole"])["Role"]["AssumeRolePolicyDocument"]["Statement"]
    same("Lambda alone takes the role on", trust,
         [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}])

    policy = json.loads(stack.functions.get_policy(FunctionName=NAME)["Policy"])["Statement"]
    same("Secrets Manager of this account may invoke it, and nobody else",
         [[p["Action"], p["Principal"], p["Condition"]] for p in policy],
         [["lambda:InvokeFunction", {"Service": "secretsmanager.amazonaws.com"},
           {"StringEquals": {"AWS:SourceAccount": ACCOUNT}}]])

    check_alarms(stack)
    same("no action, rule, topic or queue, if nobody is to be notified",
         [[n for n, a in stack.alarms.items() if "AlarmActions" in a or "OKActions" in a], stack.events.list_rules()["Rules"],
          stack.sns.list_topics()["Topics"], [n for n, p in stack.resolved.items() if ":SQS:" in p["Type"]]], [[], [], [], []])
    dashboard = json.loads(stack.cloudwatch.get_dashboard(DashboardName=f"{NAME}-{region}")["DashboardBody"])
    same("the dashboard is JSON and names no placeholder", "${" in json.dumps(dashboard), False)
    drawn = json.dumps(dashboard)
    same("and shows each metric",
         [m for m in ["RotationsSucceeded", "RotationsFailed", "TokensNotStored", "SealsFailed", "PropagationTime", "OutageTime", "ChecksCompleted", "ProblemsFound",
                     "StandbysRefused", "Duration"]
          if m not in drawn], [])
    same("and each alarm", sorted(a.rsplit(":", 1)[-1].removeprefix(NAME + "-") for a in dashboard["widgets"][0]["properties"]["alarms"]),
         sorted(stack.alarms))
    same("commands that need a secret are not among the outputs", sorted(stack.outputs),
         ["AddSecretCommand", "AddStandbyGuide", "DashboardUrl", "FunctionArn", "FunctionRoleArn", "LogCommand", "LogGroupName"])
    console = {"aws": "console.aws.amazon.com", "aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
    same("the dashboard's URL", stack.outputs["DashboardUrl"],
         f"https://{region}.{console[stack.partition]}/cloudwatch/home?region={region}#dashboards/dashboard/{NAME}-{region}")
    return stack


def check_alarms(stack):
    """What holds for every alarm, and what tells them apart. That each kind has its alarm is a test of internal/metrics."""
    name = stack.function["FunctionName"]
    same("every alarm goes off at the first, and looks back 15 minutes, the longest invocation, and one more", [
        n for n, a in stack.alarms.items()
        if [a["EvaluationPeriods"], a["DatapointsToAlarm"], a["Threshold"], a["ComparisonOperator"], a["TreatMissingData"]]
        != [16, 1, 1, "GreaterThanOrEqualToThreshold", "notBreaching"] and n != "heartbeat"
        or n != "heartbeat" and {a.get("Period"), *(m.get("MetricStat", {}).get("Period") for m in a.get("Metrics", []))} - {None} != {60}], [])
    same("every description has the runbook's address and a section, and fits", [
        n for n, a in stack.alarms.items() if "deploy/docs/runbook.md#" not in a["AlarmDescription"] or len(a["AlarmDescription"]) > 1024], [])
    mine = {"Name": "FunctionName", "Value": name}
    for alarm, namespace, metric, dimensions in [
        ("NotStored", "PantherTokenRotation", "TokensNotStored", [mine]),
        ("TokenLost", "PantherTokenRotation", "RotationsFailed", [mine, {"Name": "Kind", "Value": "TokenLost"}]),
        ("tickets", "PantherTokenRotation", "RotationsFailed", [mine, {"Name": "Severity", "Value": "ticket"}]),
        ("seals-failed", "PantherTokenRotation", "SealsFailed", [mine]),
        *([("check", "PantherTokenRotation", "ProblemsFound", [mine, {"Name": "Severity", "Value": "page"}]),
           ("check-tickets", "PantherTokenRotation", "ProblemsFound", [mine, {"Name": "Severity", "Value": "ticket"}]),
           ("heartbeat", "PantherTokenRotation", "ChecksCompleted", [mine])] if "heartbeat" in stack.alarms else []),
        ("errors", "AWS/Lambda", "Errors", [mine]),
        ("throttles", "AWS/Lambda", "Throttles", [mine]),
    ]:
        a = stack.alarms[alarm]
        same(f"alarm {alarm} on {metric}", [a["Namespace"], a["MetricName"], a["Dimensions"], a["Statistic"]],
             [namespace, metric, dimensions, "Sum"])
    counted = {f["MetricTransformations"][0]["MetricName"]: [f["FilterPattern"], *f["MetricTransformations"]]
               for f in stack.resolved.values() if f["Type"] == "AWS::Logs::MetricFilter"}
    same("alarm process-ended on invocations that failed and logged no kind, both counted from this log",
         [[m.get("Expression") or m["MetricStat"]["Metric"]["MetricName"] for m in stack.alarms["process-ended"]["Metrics"]],
          {m["MetricStat"]["Metric"]["Namespace"] for m in stack.alarms["process-ended"]["Metrics"][1:]}, counted],
         [["invocations - steps", "InvocationsFailed", "StepsFailed"], {f"PantherTokenRotation/{name}"}, {
             metric: [pattern, {"MetricNamespace": f"PantherTokenRotation/{name}", "MetricName": metric, "MetricValue": "1", "DefaultValue": 0}]
             for metric, pattern in [("InvocationsFailed", '{ $.type = "platform.report" && $.record.status != "success" }'),
                                     ("StepsFailed", '{ $.event = "step_failed" }')]}])


TICKETS = ["check-tickets", "errors", "seals-failed", "standby", "tickets", "undelivered"]


def check_notified(stack, pages, tickets):
    same("tickets go to one topic, all else pages the other, and each also says when it is over",
         {n: [a["AlarmActions"], a["OKActions"]] for n, a in stack.alarms.items()},
         {n: [[tickets if n in TICKETS else pages]] * 2 for n in stack.alarms})


def check_control_tower(stack):
    """AWS Control Tower's proactive controls, on what CloudFormation passes to them. deploy/docs/hardening.md lists them."""
    def of(kind):
        found = [p for p in stack.resolved.values() if p["Type"] == "AWS::" + kind]
        same(f"there is an AWS::{kind}", found != [], True)
        return found

    function, = of("Lambda::Function")
    same("CT.LAMBDA.PR.2: a service may invoke only from an account",
         all(p["Principal"].isdigit() or p["SourceAccount"] for p in of("Lambda::Permission")), True)
    same("CT.LAMBDA.PR.3: the function is in a VPC", bool(function["VpcConfig"]["SubnetIds"] and function["VpcConfig"]["SecurityGroupIds"]), True)
    same("CT.LAMBDA.PR.4 to 6: no layer permission and no function URL",
         [p for p in stack.resolved.values() if p["Type"] in ("AWS::Lambda::LayerVersionPermission", "AWS::Lambda::Url")], [])
    same("CT.CLOUDWATCH.PR.1 and 4: every alarm has an action, and it is on",
         all(a["AlarmActions"] and a.get("ActionsEnabled", True) for a in of("CloudWatch::Alarm")), True)
    same("CT.CLOUDWATCH.PR.2 and 3: the log is kept for a year, under a KMS key",
         all(int(p["RetentionInDays"]) >= 365 and ":kms:" in p["KmsKeyId"] for p in of("Logs::LogGroup")), True)
    same("CT.SQS.PR.1 and 2: the queue is a dead-letter queue, and encrypted",
         all(p["RedriveAllowPolicy"]["redrivePermission"] == "allowAll" and p["SqsManagedSseEnabled"] for p in of("SQS::Queue")), True)
    same("the topic is encrypted with a KMS key", all(":kms:" in p["KmsMasterKeyId"] for p in of("SNS::Topic")), True)
    same("the secret rotates on a schedule", all(p["RotationLambdaARN"] and p["RotationRules"] for p in of("SecretsManager::RotationSchedule")), True)
    same("reserved concurrency, code signing, permissions boundary",
         [str(function["ReservedConcurrentExecutions"]), ":code-signing-config:" in function["CodeSigningConfigArn"],
          all(p["PermissionsBoundary"] for p in of("IAM::Role"))], ["5", True, True])


# Names that AWS keeps once in an account, not in each region.
GLOBAL = {"AWS::CloudWatch::Dashboard": "DashboardName", "AWS::IAM::Role": "RoleName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
          "AWS::S3::Bucket": "BucketName"}


def check_regions(one, other):
    checks.of(f"a stack in {one.region}, and one in {other.region} of the same account")
    names = [{p[GLOBAL[p["Type"]]] for p in s.resolved.values() if p.get(GLOBAL.get(p["Type"]))} for s in (one, other)]
    same("have no name in common that AWS keeps globally, and a dashboard each", [names[0] & names[1], len(names[0]), len(names[1])], [set(), 1, 1])


def check_everything(template, region):
    """Every parameter set."""
    secrets = boto3.client("secretsmanager", region_name=region)
    made = secrets.create_secret(Name="acme/panther", SecretString="a token")
    key = f"arn:aws:kms:{region}:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012"
    further = f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:further-AbCdEf"
    stack = Stack(
        template, region, "everything", SecretId="acme/panther", ScheduleExpression="cron(0 4 1 * ? *)",
        RotationWindow="3h", KmsKeyArns=key, AlarmEmail="security@example.com", FunctionName="rotate-panther",
        SubnetIds="subnet-1,subnet-2", SecurityGroupIds="sg-1", Timeout="300",
        PropagationTimeout="4m", LogRetentionDays="731", FurtherSecretArns=further, SecretTokenKey="TOKEN", SecretStandbyKey="SECOND",
        RecoveryRecipient="age1" + "q" * 58, LogLevel="debug", TicketTopicArn=f"arn:aws:sns:{region}:{ACCOUNT}:tickets",
        LogKmsKeyArn=key, TopicKmsKeyArn=key, ReservedConcurrency="5", HttpsProxy="http://egress.acme.net:3128",
        CodeSigningConfigArn=f"arn:aws:lambda:{region}:{ACCOUNT}:code-signing-config:csc-0123456789abcdef0",
        NoProxy="169.254.169.254", SslCertFile="/var/task/ca.pem", AwsEndpointUrl="https://aws.acme.net",
        AwsEndpointUrlSecretsManager="https://sm.acme.net",
        PermissionsBoundaryArn=f"arn:aws:iam::{ACCOUNT}:policy/boundary",
    )
    function = stack.function
    same("timeout", function["Timeout"], 300)
    same("settings", function["Environment"]["Variables"], {
        "PANTHER_API_URL": URL, "SECRET_TOKEN_KEY": "TOKEN", "SECRET_STANDBY_KEY": "SECOND", "PROPAGATION_TIMEOUT": "4m",
        "CHECK_SECRETS": "acme/panther," + further,
        "RECOVERY_RECIPIENT": "age1" + "q" * 58, "LOG_LEVEL": "debug", "HTTPS_PROXY": "http://egress.acme.net:3128",
        "NO_PROXY": "169.254.169.254", "SSL_CERT_FILE": "/var/task/ca.pem", "AWS_ENDPOINT_URL": "https://aws.acme.net",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://sm.acme.net"})
    same("Lambda keeps the debug lines that the function writes",
         stack.functions.list_tags(Resource=function["FunctionArn"])["Tags"]["asked/ApplicationLogLevel"], "DEBUG")
    same("in the VPC", [function["VpcConfig"]["SubnetIds"], function["VpcConfig"]["SecurityGroupIds"]],
         [["subnet-1", "subnet-2"], ["sg-1"]])

    secret = secrets.describe_secret(SecretId="acme/panther")
    asked = {t["Key"]: t["Value"] for t in secret["Tags"]}
    same("the schedule, its window, and no rotation on deploy", asked, {
        "asked/ScheduleExpression": "cron(0 4 1 * ? *)", "asked/Duration": "3h", "asked/RotateImmediately": "False"})
    same("the secret's rotation names the function", secret["RotationLambdaARN"], function["FunctionArn"])
    value = secrets.get_secret_value(SecretId="acme/panther")
    same("the token is as it was", [value["SecretString"], value["VersionId"]], ["a token", made["VersionId"]])

    statements = stack.statements()
    check_wildcards(statements)
    same("for the function by its name",
         statements["RotateSecretsThatNameThisFunction"]["Condition"]["StringEquals"],
         {"secretsmanager:resource/AllowRotationLambdaArn": function["FunctionArn"]})
    describe = statements["DescribeTheListedSecrets"]
    same("the daily check may describe the listed secrets, whatever function they name",
         [describe["Action"], describe["Resource"], describe.get("Condition")],
         ["secretsmanager:DescribeSecret", [stack.arn("secretsmanager", "secret:acme/panther-??????"), further], None])
    schedule = stack.resolved["CheckSchedule"]
    same("and runs once a day, by an event that names no secret",
         [schedule["ScheduleExpression"], schedule["FlexibleTimeWindow"], schedule["Target"]["Arn"], json.loads(schedule["Target"]["Input"])],
         ["rate(1 day)", {"Mode": "OFF"}, function["FunctionArn"], {"Check": "secrets"}])
    invoke = stack.resolved["CheckRole"]
    same("the schedule of this account may invoke the function, and no more",
         [invoke["AssumeRolePolicyDocument"]["Statement"][0]["Principal"], invoke["AssumeRolePolicyDocument"]["Statement"][0]["Condition"],
          [[q["Action"], q["Resource"]] for p in invoke["Policies"] for q in p["PolicyDocument"]["Statement"]]],
         [{"Service": "scheduler.amazonaws.com"}, {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
          [["lambda:InvokeFunction", function["FunctionArn"]]]])
    heartbeat = stack.alarms["heartbeat"]
    same("two days of silence page, and a new alarm does not",
         [[heartbeat[k] for k in ["Period", "EvaluationPeriods", "TreatMissingData", "InsufficientDataActions"]]],
         [[3600, 48, "missing", heartbeat["AlarmActions"]]])
    kms = statements["UseTheSecretsKeys"]
    same("the key, by way of Secrets Manager, for secrets only", [kms["Action"], kms["Resource"], kms["Condition"]], [
        ["kms:Decrypt", "kms:GenerateDataKey"], [key],
        {"StringLike": {"kms:ViaService": f"secretsmanager.{region}.*",
                        "kms:EncryptionContext:SecretARN": stack.arn("secretsmanager", "secret:*")}}])
    same("Lambda may attach it to the VPC, its code may not use that",
         [statements["KeepTheCodeOutOfTheVpc"][k] for k in ["Effect", "Action", "Resource", "Condition"]],
         ["Deny", "ec2:*", "*", {"ArnEquals": {"lambda:SourceFunctionArn": function["FunctionArn"]}}])
    same("what Lambda needs there, in this region",
         [statements["LetLambdaAttachToTheVpc"][k] for k in ["Effect", "Resource", "Action", "Condition"]], [
        "Allow", "*",
        ["ec2:" + a for a in ["AssignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface",
                              "DescribeNetworkInterfaces", "DescribeSubnets", "UnassignPrivateIpAddresses"]],
        {"StringEquals": {"aws:RequestedRegion": region}}])
    role = stack.iam.get_role(RoleName=stack.resources["FunctionRole"])["Role"]
    same("permissions boundary", role["PermissionsBoundary"]["PermissionsBoundaryArn"], f"arn:aws:iam::{ACCOUNT}:policy/boundary")

    topic = stack.sns.list_topics()["Topics"][0]["TopicArn"]
    same("the address is subscribed",
         [[s["Protocol"], s["Endpoint"]] for s in stack.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]],
         [["email", "security@example.com"]])
    policy = json.loads(stack.sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])["Statement"]
    same("alarms of this account and events may publish",
         [[s["Principal"], s["Action"], s["Resource"], s.get("Condition")] for s in policy],
         [[{"Service": "cloudwatch.amazonaws.com"}, "sns:Publish", topic, {"StringEquals": {"aws:SourceAccount": ACCOUNT}}],
          [{"Service": "events.amazonaws.com"}, "sns:Publish", topic, None]])
    tickets = f"arn:aws:sns:{region}:{ACCOUNT}:tickets"
    check_notified(stack, topic, tickets)
    check_control_tower(stack)
    same("the topic is an output", stack.outputs["AlarmTopicArn"], topic)
    rule = stack.events.describe_rule(Name="rotate-panther-rotation-failed")
    check_pattern(stack, rule["EventPattern"], made["ARN"], further)
    queue = stack.arn("sqs", "rotate-panther-undelivered")
    same("the rule tells the topic for tickets, and what is not delivered goes to a queue",
         [[t["Arn"], t["DeadLetterConfig"]] for t in stack.resolved["RotationFailedRule"]["Targets"]], [[tickets, {"Arn": queue}]])
    same("in which this rule alone may put messages",
         [[s["Principal"], s["Action"], s["Resource"], s["Condition"]] for s in stack.resolved["UndeliveredPolicy"]["PolicyDocument"]["Statement"]],
         [[{"Service": "events.amazonaws.com"}, "sqs:SendMessage", queue,
           {"ArnEquals": {"aws:SourceArn": stack.arn("events", "rule/rotate-panther-rotation-failed")}}]])
    same("and an alarm watches the queue",
         [stack.alarms["undelivered"][k] for k in ["Namespace", "MetricName", "Dimensions", "Statistic"]],
         ["AWS/SQS", "ApproximateNumberOfMessagesVisible", [{"Name": "QueueName", "Value": "rotate-panther-undelivered"}], "Maximum"])
    command = f"aws secretsmanager %s --region {region} --secret-id 'acme/panther'"
    same("the commands among the outputs", [stack.outputs[c] for c in ["RotateNowCommand", "CheckCommand", "RollBackCommand"]], [
        command % "rotate-secret",
        command % "describe-secret" + " --query '[RotationEnabled, LastRotatedDate, NextRotationDate, VersionIdsToStages]'",
        command % "cancel-rotate-secret"])
    same("the command for the next secret", stack.outputs["AddSecretCommand"],
         f"aws secretsmanager rotate-secret --region {region} --secret-id SECRET --rotation-lambda-arn {function['FunctionArn']}"
         ' --rotation-rules \'{"ScheduleExpression":"cron(0 4 1 * ? *)","Duration":"3h"}\' --no-rotate-immediately')


def matcher(stack, pattern):
    """Asks moto's EventBridge whether the rule takes an event."""
    rule = EventPattern.load(pattern)

    def matches(name, **detail):
        event = {
            "id": "1", "account": ACCOUNT, "source": "aws.secretsmanager", "time": "2026-01-01T00:00:00Z",
            "region": stack.region, "resources": [], "detail-type": "AWS Service Event via CloudTrail",
            "detail": {"eventSource": "secretsmanager.amazonaws.com", "eventName": name, **detail},
        }
        return rule.matches_event(event)

    return matches


def check_pattern(stack, pattern, secret, further):
    matches = matcher(stack, pattern)
    other = secret.replace("acme/panther", "acme/other")
    for name in ["RotationFailed", "TestRotationFailed", "RotationAbandoned"]:
        same(f"the rule matches {name} of the secret", matches(name, additionalEventData={"SecretId": secret}), True)
    same("and its ARN as arn", matches("RotationFailed", responseElements={"arn": secret}), True)
    same("and its ARN as aRN", matches("RotationFailed", responseElements={"aRN": secret}), True)
    same("and a further secret", matches("RotationFailed", additionalEventData={"SecretId": further}), True)
    same("not another secret", matches("RotationFailed", additionalEventData={"SecretId": other}), False)
    same("not a success", matches("RotationSucceeded", additionalEventData={"SecretId": secret}), False)


def check_topic_and_account(template, region):
    """A topic of the user's, and secrets in another account."""
    topic = f"arn:aws:sns:{region}:{ACCOUNT}:pager"
    stack = Stack(template, region, "secrets in another account", SecretAccountId="210987654321", AlarmTopicArn=topic,
                  KmsKeyArns=f"arn:aws:kms:{region}:210987654321:key/12345678-1234-1234-1234-123456789012")
    same("no topic is made", stack.sns.list_topics()["Topics"], [])
    check_notified(stack, topic, topic)
    statements = stack.statements()
    same("secrets of that account",
         [statements["RotateSecretsThatNameThisFunction"]["Resource"],
          statements["UseTheSecretsKeys"]["Condition"]["StringLike"]["kms:EncryptionContext:SecretARN"]],
         [stack.arn("secretsmanager", "secret:*", "210987654321")] * 2)
    same("Secrets Manager of that account may invoke it, and who may call RotateSecret there",
         [[p["Principal"], p["SourceAccount"]] if "SourceAccount" in p else [p["Principal"]]
          for p in stack.resolved.values() if p["Type"] == "AWS::Lambda::Permission"],
         [["secretsmanager.amazonaws.com", "210987654321"], ["210987654321"]])
    same("no rule: CloudTrail records the rotation in that account", stack.events.list_rules()["Rules"], [])


def check_rules(template):
    """Which secrets the rule watches, where no secret is rotated by the stack."""
    topic = f"arn:aws:sns:us-west-2:{ACCOUNT}:pager"
    stack = Stack(template, "us-west-2", "further secrets alone", AlarmTopicArn=topic,
                  FurtherSecretArns=f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:secret:further-AbCdEf")
    matches = matcher(stack, stack.events.describe_rule(Name=f"{NAME}-rotation-failed")["EventPattern"])
    for secret, watched in [("further-AbCdEf", True), ("other-AbCdEf", False)]:
        for parent, key in [("additionalEventData", "SecretId"), ("responseElements", "arn"), ("responseElements", "aRN")]:
            same(f"the rule {'watches' if watched else 'does not watch'} {secret} as {key}",
                 matches("RotationFailed", **{parent: {key: stack.arn("secretsmanager", f"secret:{secret}")}}), watched)
    stack = Stack(template, "us-west-1", "no secret", AlarmTopicArn=topic.replace("us-west-2", "us-west-1"))
    pattern = json.loads(stack.events.describe_rule(Name=f"{NAME}-rotation-failed")["EventPattern"])
    same("if no parameter names a secret, the rule watches all", "$or" in pattern["detail"], False)


def main(template_file, zip_file):
    logging.disable(logging.WARNING)
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")

    with emulated_account():
        # As sam package does it: the built code goes to a bucket, and the template names it.
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="artifacts")
        s3.upload_file(zip_file, "artifacts", "function.zip")

        def template():
            with open(template_file, encoding="utf-8") as f:
                body = yaml_parse(f)
            body["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://artifacts/function.zip"
            return body

        check_text(template())
        with open(os.path.join(os.path.dirname(template_file), "deploy/cross-account.yaml"), encoding="utf-8") as f:
            check_cross_account(yaml_parse(f), template()["Resources"])
        # Each in a region of its own, which is empty.
        first = check_function_alone(template, "eu-central-1")
        for region in ["us-gov-west-1", "cn-north-1"]:
            checks.in_one_line(check_function_alone, template, region)
        check_regions(first, Stack(template, "ap-southeast-2", "the function alone"))
        check_everything(template, "us-east-2")
        check_topic_and_account(template, "eu-west-1")
        check_rules(template)


if __name__ == "__main__":
    main(*sys.argv[1:])
