"""Applies the Terraform module in an emulated account, reads it back through the AWS API, and destroys it.

    python module.py MODULE ZIP [INIT-ARGUMENT...]

MODULE is a copy of deploy/terraform, since Terraform writes beside what it reads; the further arguments are for
"terraform init". The account is moto's, as tests/moto/server.py makes it.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time

import boto3

import checks
from checks import same

ACCOUNT = "123456789012"
NAME = "panther-token-rotation"
TOKEN = "the token, which no state may hold"


class Account:
    """Clients of one region of the emulated account."""

    def __init__(self, url, region):
        self.url, self.region = url, region
        for service in ["cloudwatch", "ec2", "events", "iam", "kms", "logs", "secretsmanager", "sns", "sqs"]:
            setattr(self, service, boto3.client(service, region_name=region, endpoint_url=url))
        self.functions = boto3.client("lambda", region_name=region, endpoint_url=url)

    def statements(self, role):
        """The role's statements by Sid, of all its policies."""
        found = {}
        for policy in self.iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = self.iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
            found.update({s["Sid"]: s for s in document["Statement"]})
        same("the role has no policy attached besides its own",
             self.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"], [])
        allowed = [s for s in found.values() if s["Effect"] == "Allow"]
        same("no action has a wildcard", [s["Sid"] for s in allowed if "*" in json.dumps(s["Action"])], [])
        return found


class Module:
    """The module with some settings, as tests/moto/main.tf takes them."""

    def __init__(self, folder, zip_file, account, **settings):
        self.settings = settings
        self.command = ["terraform", f"-chdir={folder}/tests/moto"]
        self.state = f"{folder}/tests/moto/terraform.tfstate"
        self.variables = [
            "-input=false", "-no-color", f"-var=endpoint={account.url}", f"-var=region={account.region}",
            f"-var=lambda_zip={os.path.abspath(zip_file)}",
        ]

    def run(self, action, *arguments, fine=(0,)):
        settings = f"-var=settings={json.dumps(self.settings)}"
        ended = subprocess.run([*self.command, action, *arguments, *self.variables, settings], capture_output=True, text=True)
        if ended.returncode not in fine:
            sys.exit(f"terraform {action} failed:\n{ended.stdout}{ended.stderr}")
        return ended.returncode

    def changes(self):
        """What the next plan would change, by resource: the attributes."""
        plan = f"{self.state}.plan"
        self.run("plan", f"-out={plan}")
        shown = subprocess.run([*self.command, "show", "-json", plan], capture_output=True, text=True, check=True).stdout
        changes = {}
        for resource in json.loads(shown)["resource_changes"]:
            if resource["change"]["actions"] not in (["no-op"], ["read"]):
                before, after = (resource["change"][k] or {} for k in ["before", "after"])
                changes[resource["address"].removeprefix("module.rotation.")] = sorted(
                    k for k in {**before, **after} if before.get(k) != after.get(k))
        return changes

    @contextlib.contextmanager
    def applied(self):
        """Applies the module, yields its outputs, and destroys it."""
        self.run("apply", "-auto-approve")
        same("the next plan is empty", self.run("plan", "-detailed-exitcode", fine=(0, 2)), 0)
        with open(self.state, encoding="utf-8") as f:
            state = f.read()
        same("the token is not in the state", TOKEN in state, False)
        yield json.loads(state)["outputs"]["rotation"]["value"]
        self.run("destroy", "-auto-approve")


def check_function_alone(module, zip_file, url, region, partition):
    """What everybody gets, without a secret among the variables."""
    checks.of(f"the function alone, in {region}")
    account = Account(url, region)
    with Module(module, zip_file, account, alarm_email="none").applied() as outputs:
        function = account.functions.get_function_configuration(FunctionName=NAME)
        same("runtime, architecture, handler", [function["Runtime"], function["Architectures"], function["Handler"]],
             ["provided.al2023", ["arm64"], "bootstrap"])
        same("240 seconds, 256 MB, tracing", [function["Timeout"], function["MemorySize"], function["TracingConfig"]],
             [240, 256, {"Mode": "Active"}])
        same("JSON logging into its own log group",
             [function["LoggingConfig"]["LogFormat"], function["LoggingConfig"]["LogGroup"]], ["JSON", outputs["log_group_name"]])
        statements = account.statements(function["Role"].split("/")[-1])
        same("no more than it needs", sorted(statements), ["RotateSecretsThatNameThisFunction", "WriteItsLog", "WriteTraces"])
        secrets = statements["RotateSecretsThatNameThisFunction"]
        same("on secrets of this account whose rotation names this function", [secrets["Resource"], secrets["Condition"]], [
            f"arn:{partition}:secretsmanager:{region}:{ACCOUNT}:secret:*",
            {"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn": function["FunctionArn"]},
             "ArnEquals": {"lambda:SourceFunctionArn": function["FunctionArn"]}}])
        policy = json.loads(account.functions.get_policy(FunctionName=NAME)["Policy"])["Statement"]
        same("Secrets Manager of this account may invoke it, and nobody else",
             [[p["Action"], p["Principal"], p["Condition"]] for p in policy],
             [["lambda:InvokeFunction", {"Service": "secretsmanager.amazonaws.com"},
               {"StringEquals": {"AWS:SourceAccount": ACCOUNT}}]])
        alarms = account.cloudwatch.describe_alarms()["MetricAlarms"]
        with open("internal/rotation/kinds.go", encoding="utf-8") as f:
            pages = re.findall(r"\{(\w+), Page, .*, false\},", f.read())  # not those that the daily check alone finds
        same("an alarm for each kind that pages, and eight more", sorted(a["AlarmName"].removeprefix(NAME + "-") for a in alarms),
             sorted([*pages, "StandbyLost", "StandbyRefused", "errors", "process-ended", "seals-failed", "standby", "throttles", "tickets"]))
        same("that look at this function", [a["AlarmName"] for a in alarms
             if {"Name": "FunctionName", "Value": NAME} not in a["Dimensions"] and not a.get("Metrics")], [])
        same("and name the runbook", [a["AlarmName"] for a in alarms if "deploy/docs/runbook.md#" not in a["AlarmDescription"]], [])
        same("the log is counted for the alarm on a process that ended",
             sorted(f["filterPattern"] for f in account.logs.describe_metric_filters()["metricFilters"]),
             ['{ $.event = "step_failed" }', '{ $.type = "platform.report" && $.record.status != "success" }'])
        same("a dashboard", len(json.loads(account.cloudwatch.get_dashboard(
            DashboardName=f"{NAME}-{region}")["DashboardBody"])["widgets"]), 9)
        same("no rule and no topic, if nobody is to be notified",
             [account.events.list_rules()["Rules"], account.sns.list_topics()["Topics"]], [[], []])


def check_everything(module, zip_file, url, region):
    """Every variable."""
    checks.of(f"everything, in {region}")
    account = Account(url, region)
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = account.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = account.ec2.create_security_group(GroupName="rotation", Description="rotation", VpcId=vpc)["GroupId"]
    boundary = account.iam.create_policy(
        PolicyName="boundary",
        PolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}',
    )["Policy"]["Arn"]
    secret = account.secretsmanager.create_secret(Name="acme/panther", SecretString=TOKEN)
    further = f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:acme/further-AbCdEf"
    key = f"arn:aws:kms:{region}:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012"
    settings = {
        "secret_id": "acme/panther", "schedule_expression": "cron(0 4 1 * ? *)", "rotation_window": "3h",
        "kms_key_arns": [key], "subnet_ids": [subnet], "security_group_ids": [group], "alarm_email": "security@example.com",
        "further_secret_arns": [further], "permissions_boundary_arn": boundary, "function_name": "rotate-panther",
        "recovery_recipient": "age1" + "q" * 58, "log_kms_key_arn": key,
        "code_signing_config_arn": f"arn:aws:lambda:{region}:{ACCOUNT}:code-signing-config:csc-0123456789abcdef0",
    }
    deployed = Module(module, zip_file, account, **settings)
    with deployed.applied() as outputs:
        function = account.functions.get_function_configuration(FunctionName="rotate-panther")
        same("in the VPC", [function["VpcConfig"]["SubnetIds"], function["VpcConfig"]["SecurityGroupIds"]], [[subnet], [group]])
        described = account.secretsmanager.describe_secret(SecretId="acme/panther")
        same("the schedule and its window, by this function",
             [described["RotationEnabled"], described["RotationLambdaARN"], described["RotationRules"]],
             [True, function["FunctionArn"], {"ScheduleExpression": "cron(0 4 1 * ? *)", "Duration": "3h"}])
        value = account.secretsmanager.get_secret_value(SecretId="acme/panther")
        same("the token is as it was", [value["SecretString"], value["VersionId"]], [TOKEN, secret["VersionId"]])
        role = account.iam.get_role(RoleName=function["Role"].split("/")[-1])["Role"]
        same("permissions boundary", role["PermissionsBoundary"]["PermissionsBoundaryArn"], boundary)
        statements = account.statements(role["RoleName"])
        kms = statements["UseTheSecretsKeys"]
        same("the key, by way of Secrets Manager, for secrets only", [kms["Resource"], kms["Condition"]], [[key], {"StringLike": {
            "kms:ViaService": f"secretsmanager.{region}.*",
            "kms:EncryptionContext:SecretARN": f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:*"}}])
        same("Lambda may attach it to the VPC, its code may not use that",
             [statements["KeepTheCodeOutOfTheVpc"][k] for k in ["Effect", "Action", "Resource", "Condition"]],
             ["Deny", "ec2:*", "*", {"ArnEquals": {"lambda:SourceFunctionArn": function["FunctionArn"]}}])
        topic = account.sns.list_topics()["Topics"][0]["TopicArn"]
        same("all alarms notify the topic, also when they are over",
             [a["AlarmName"] for a in account.cloudwatch.describe_alarms()["MetricAlarms"]
              if [a["AlarmActions"], a["OKActions"]] != [[topic]] * 2], [])
        pattern = json.loads(account.events.describe_rule(Name="rotate-panther-rotation-failed")["EventPattern"])
        watched = [secret["ARN"], further]
        same("the rule takes the events of these secrets, whichever way they name them", pattern["detail"]["$or"], [
            {"additionalEventData": {"SecretId": watched}}, {"responseElements": {"arn": watched}},
            {"responseElements": {"aRN": watched}}])
        queue = account.sqs.get_queue_attributes(QueueUrl=account.sqs.list_queues()["QueueUrls"][0], AttributeNames=["QueueArn"])
        same("and notifies the topic, or fills the queue",
             [[t["Arn"], t["DeadLetterConfig"]["Arn"]] for t in account.events.list_targets_by_rule(Rule="rotate-panther-rotation-failed")["Targets"]],
             [[topic, queue["Attributes"]["QueueArn"]]])
        same("the log's key and the code signing configuration", [
            account.logs.describe_log_groups()["logGroups"][0]["kmsKeyId"],
            account.functions.get_function_code_signing_config(FunctionName="rotate-panther")["CodeSigningConfigArn"],
        ], [key, settings["code_signing_config_arn"]])
        check_hardening(deployed, account, outputs)

    same("destroyed: function, alarms, rule and topic are gone", [
        account.functions.list_functions()["Functions"], account.cloudwatch.describe_alarms()["MetricAlarms"],
        account.events.list_rules()["Rules"], account.sns.list_topics()["Topics"]], [[], [], [], []])
    same("the log is kept", len(account.logs.describe_log_groups()["logGroups"]), 1)
    same("rotation is off", account.secretsmanager.describe_secret(SecretId="acme/panther")["RotationEnabled"], False)
    same("the secret and its token are there", account.secretsmanager.get_secret_value(SecretId="acme/panther")["SecretString"], TOKEN)


def check_hardening(deployed, account, outputs):
    """What an account's owners change by hand. Each has a variable, with which the next plan leaves it alone."""
    name, topic = outputs["function_name"], outputs["alarm_topic_arn"]
    key = account.kms.create_key()["KeyMetadata"]["Arn"]
    environment = account.functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    account.functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=5)
    account.functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**environment, "HTTPS_PROXY": "http://egress.acme.net:3128"}})
    account.functions.tag_resource(Resource=outputs["function_arn"], Tags={"owner": "security"})
    account.sns.set_topic_attributes(TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue=key)
    same("what is changed by hand, the next apply would undo", deployed.changes(), {
        "aws_lambda_function.rotation": ["environment", "reserved_concurrent_executions", "tags", "tags_all"],
        "aws_sns_topic.alarms[0]": ["kms_master_key_id"]})
    deployed.settings |= {"reserved_concurrency": 5, "topic_kms_key_arn": key,
                          "environment": {"HTTPS_PROXY": "http://egress.acme.net:3128"}}
    same("unless variables say the same: then only the tags are left", deployed.changes(),
         {"aws_lambda_function.rotation": ["tags", "tags_all"]})
    deployed.settings |= {"tags": {"owner": "security"}}
    same("which the variable puts on the rest as well", {tuple(attributes) for attributes in deployed.changes().values()}, {("tags", "tags_all")})


@contextlib.contextmanager
def emulated_account(module):
    """Runs tests/moto/server.py on a free port and yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, f"{module}/tests/moto/server.py", str(port)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        else:
            sys.exit("the emulated account did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def main(module, zip_file, *init):
    subprocess.run(["terraform", f"-chdir={module}/tests/moto", "init", "-input=false", "-no-color", *init], check=True)
    with emulated_account(module) as url:
        check_everything(module, zip_file, url, "us-east-2")
        check_function_alone(module, zip_file, url, "us-gov-west-1", "aws-us-gov")


if __name__ == "__main__":
    main(*sys.argv[1:])
