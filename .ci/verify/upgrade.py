"""Deploys an earlier state in an emulated account, updates it to this one, and compares the secret before and after.

    python upgrade.py OLD NEW ZIP [INIT-ARGUMENT...]

OLD and NEW are folders with template.yaml and deploy/terraform, in which Terraform may write. Without terraform on the PATH, the
template alone is updated.
"""

import base64
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys

import boto3
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

import checks
import module
from checks import same
from emulator import emulated_account
from stack import NAME, URL, NoManagedPolicies

SECRET = "acme/panther"
VALUES = ['{"PANTHER_API_TOKEN": "the first"}', '{"PANTHER_API_TOKEN": "the second"}', '{"PANTHER_API_TOKEN": "the third"}']


def new_secret(client):
    """A secret as it is after two rotations."""
    client.create_secret(Name=SECRET, SecretString=VALUES[0])
    for value in VALUES[1:]:
        client.put_secret_value(SecretId=SECRET, SecretString=value)


def look(client):
    """All that the secret is, but for when it was read."""
    described = client.describe_secret(SecretId=SECRET)
    values = {version: client.get_secret_value(SecretId=SECRET, VersionId=version)["SecretString"]
              for version, labels in described["VersionIdsToStages"].items() if labels}
    kept = {key: described.get(key) for key in ["ARN", "RotationEnabled", "RotationLambdaARN", "RotationRules", "Tags", "VersionIdsToStages",
                                                "NextRotationDate", "LastRotatedDate", "LastChangedDate"]}
    return {**kept, "values": values}


def check_template(old, new, zip_file):
    checks.of("the stack of the earlier template, updated to this one")
    region = os.environ["AWS_DEFAULT_REGION"]
    parameters = {"PantherApiUrl": URL, "SecretId": SECRET, "ScheduleExpression": "rate(10 days)", "AlarmEmail": "security@example.com"}

    def body(folder):
        with open(f"{folder}/template.yaml", encoding="utf-8") as f:
            template = yaml_parse(f)
        template["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://artifacts/function.zip"
        return transform(template, parameters, NoManagedPolicies())

    with emulated_account():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="artifacts")
        s3.upload_file(zip_file, "artifacts", "function.zip")
        secrets, stacks, functions = (boto3.client(s, region_name=region) for s in ["secretsmanager", "cloudformation", "lambda"])
        new_secret(secrets)

        def deploy(action, template):
            action(StackName="rotation", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"],
                   Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()])
            return stacks.describe_stacks(StackName="rotation")["Stacks"][0]["StackStatus"]

        earlier, later = body(old), body(new)
        same("the earlier one is made", deploy(stacks.create_stack, earlier), "CREATE_COMPLETE")
        before, function = look(secrets), functions.get_function_configuration(FunctionName=NAME)
        same("its schedule names its function", before["RotationLambdaARN"], function["FunctionArn"])
        same("it is updated", deploy(stacks.update_stack, later), "UPDATE_COMPLETE")
        after = functions.get_function_configuration(FunctionName=NAME)
        same("the function is the same one, with the new settings",
             [after["FunctionArn"], "CHECK_SECRETS" in after["Environment"]["Variables"]], [function["FunctionArn"], True])
        same("the secret, its versions and its schedule are unchanged", look(secrets), before)
        # CloudFormation calls RotateSecret if a property of the schedule changes, or if its function is replaced.
        same("CloudFormation has nothing to do to the schedule, nor to the permission to invoke", *(
            [{**t["Resources"][r], "DependsOn": None} for r in ["RotationSchedule", "SecretsManagerPermission"]] for t in (later, earlier)))
        same("nor to replace the function", *(
            [t["Resources"]["Function"]["Type"], t["Resources"]["Function"]["Properties"]["FunctionName"],
             t["Parameters"]["FunctionName"]["Default"]] for t in (later, earlier)))


def check_module(old, new, zip_file, init):
    checks.of("the earlier module, updated to this one")
    old, new = f"{old}/deploy/terraform", f"{new}/deploy/terraform"
    for folder in (old, new):
        subprocess.run(["terraform", f"-chdir={folder}/tests/moto", "init", "-input=false", *init], check=True)
    with module.emulated_account(new) as url:
        account = module.Account(url, "eu-west-1")
        new_secret(account.secretsmanager)
        settings = {"secret_id": SECRET, "schedule_expression": "rate(10 days)", "alarm_email": "security@example.com"}
        earlier, later = (module.Module(f, zip_file, account, **settings) for f in (old, new))
        earlier.run("apply", "-auto-approve")
        before, function = look(account.secretsmanager), account.functions.get_function_configuration(FunctionName=NAME)
        same("the earlier one is applied", [before["RotationEnabled"], before["RotationLambdaARN"]], [True, function["FunctionArn"]])
        shutil.copy(earlier.state, later.state)
        changes = later.changes()
        same("the plan leaves schedule and permission alone",
             [a for a in changes if a.startswith(("aws_secretsmanager_", "aws_lambda_permission."))], [])
        subprocess.run([*later.command, "apply", "-input=false", f"{later.state}.plan"], check=True, stdout=subprocess.DEVNULL)
        after = account.functions.get_function_configuration(FunctionName=NAME)
        with open(zip_file, "rb") as f:
            same("the function has the bytes of the zip", after["CodeSha256"], base64.b64encode(hashlib.sha256(f.read()).digest()).decode())
        same("the function is the same one, with the new settings",
             [after["FunctionArn"], "CHECK_SECRETS" in after["Environment"]["Variables"]], [function["FunctionArn"], True])
        same("the secret, its versions and its schedule are unchanged", look(account.secretsmanager), before)


def main(old, new, zip_file, *init):
    logging.disable(logging.WARNING)
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
    check_template(old, new, zip_file)
    if shutil.which("terraform"):
        check_module(old, new, zip_file, init)


if __name__ == "__main__":
    main(*sys.argv[1:])
