"""Checks of what template.yaml says and the emulated account takes no notice of."""

import re

import checks
from checks import same


def check_cross_account(body, function):
    checks.of("deploy/cross-account.yaml")
    allowed, = body["Resources"]["SecretPolicy"]["Properties"]["ResourcePolicy"]["Statement"]
    rotates = function["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]
    same("the secret's policy allows the function's role what its own policy does",
         [allowed["Principal"], allowed["Action"]], [{"AWS": {"Ref": "FunctionRoleArn"}}, rotates["Action"]])
    same("and cannot be public", body["Resources"]["SecretPolicy"]["Properties"]["BlockPublicPolicy"], True)
    admin, use = body["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"]
    same("the key is this account's, and the role may use it for this secret, by way of Secrets Manager",
         [admin["Action"], use["Principal"], use["Action"], use["Condition"]["StringEquals"]],
         ["kms:*", {"AWS": {"Ref": "FunctionRoleArn"}}, ["kms:Decrypt", "kms:GenerateDataKey"],
          {"kms:EncryptionContext:SecretARN": {"Ref": "SecretArn"}}])
    same("deploying rotates nothing, and waits for the policy",
         [body["Resources"]["Schedule"][k] for k in ["DependsOn", "Condition"]]
         + [body["Resources"]["Schedule"]["Properties"]["RotateImmediatelyOnUpdate"]], ["SecretPolicy", "HasSchedule", False])
    pattern = body["Resources"]["RotationFailedRule"]["Properties"]["EventPattern"]["detail"]
    same("the rule watches the same events as the function's, of this secret",
         [pattern["eventName"], [list(d.values())[0] for p in pattern["$or"] for d in p.values()]],
         [function["RotationFailedRule"]["Properties"]["EventPattern"]["detail"]["eventName"], [[{"Ref": "SecretArn"}]] * 3])
    same("whether somebody is notified is asked", "Default" in body["Parameters"]["AlarmTopicArn"], False)


def check_text(body):
    checks.of("the template itself, in what no emulator does")
    resources = body["Resources"]
    same("the log outlives the stack",
         [resources["LogGroup"].get("DeletionPolicy"), resources["LogGroup"].get("UpdateReplacePolicy")],
         ["RetainExceptOnCreate", "Retain"])
    same("the schedule waits for the permission", resources["RotationSchedule"].get("DependsOn"), "SecretsManagerPermission")
    same("no parameter holds a secret, so none is hidden", [n for n, p in body["Parameters"].items() if "NoEcho" in p], [])
    same("the message says what happened to which secret",
         resources["RotationFailedRule"]["Properties"]["Targets"][0]["InputTransformer"]["InputPathsMap"],
         {"event": "$.detail.eventName", "secret": "$.detail.additionalEventData.SecretId", "account": "$.account",
          "region": "$.region", "time": "$.time"})

    for name, taken, refused in [
        ("PantherApiUrl",
         ["acme.runpanther.net", "https://api.acme.runpanther.net/public/graphql"],
         ["", "http://api.acme.runpanther.net", "https://user@acme.runpanther.net", "https://acme.runpanther.net/?x=1", "acme"]),
        ("ScheduleExpression",
         ["rate(30 days)", "rate(4 hours)", "cron(0 4 1 * ? *)", "cron(0 8-16/4 ? * MON#1 *)"],
         ["rate(3 hours)", "rate(300 minutes)", "cron(0 4 1 * *)", "30 days"]),
        ("RecoveryRecipient",
         ["", "age1" + "q" * 58, "age1pq1" + "q" * 1952],
         ["age1qqq", "AGE-SECRET-KEY-1" + "Q" * 58, "ssh-ed25519 AAAA"]),
        ("AlarmEmail", ["", "none", "a@example.com"], ["a", "nobody"]),
        ("HttpsProxy", ["", "http://egress.acme.net:3128"], ["https://user:password@egress.acme.net", "proxy"]),
        ("AwsEndpointUrl", ["", "https://vpce-1.secretsmanager.eu-west-1.vpce.amazonaws.com"], ["http://example.com"]),
        ("ReservedConcurrency", ["", "1", "10"], ["0", "-1"]),
        ("SecretId", ["", "acme/panther"], ["acme panther"]),
    ]:
        pattern = re.compile(body["Parameters"][name]["AllowedPattern"])
        same(f"{name} takes what it should, and nothing else",
             [v for v in taken + refused if pattern.search(v)], taken)

    same("PropagationTimeout takes durations that the rule below knows", body["Parameters"]["PropagationTimeout"]["AllowedValues"],
         ["30s", "60s", "90s", "1m", "1m30s", "2m", "2m30s", "3m", *(f"{m}m" for m in range(4, 15))])
    told = {"AlarmEmail": "a@example.com"}
    for given, refused_by in [
        ({}, ["SomebodyIsNotified"]),
        ({"AlarmEmail": "none"}, []),
        (told, []),
        ({"AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:t"}, []),
        ({**told, "SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1", "SecretId": "s"}, []),
        ({**told, "SubnetIds": "subnet-1"}, ["SubnetsWithSecurityGroups"]),
        ({**told, "SecurityGroupIds": "sg-1"}, ["SubnetsWithSecurityGroups"]),
        ({**told, "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:t"}, ["OneTopicForPages"]),
        ({**told, "TicketTopicArn": "arn:aws:sns:eu-west-1:123456789012:t"}, []),
        ({"AlarmEmail": "none", "TicketTopicArn": "arn:aws:sns:eu-west-1:123456789012:t"}, ["TicketsBesidePages"]),
        ({**told, "SecretId": "s", "SecretAccountId": "123456789012"}, ["SchedulesInThisAccountOnly"]),
        ({**told, "AwsUseFipsEndpoint": "true"}, []),
        ({**told, "AwsUseFipsEndpoint": "true", "AwsEndpointUrl": "https://example.com"}, ["FipsWithoutEndpoint"]),
    ]:
        same(f"{', '.join(given) or 'nothing'} given: {'refused by ' + refused_by[0] if refused_by else 'taken'}",
             refusing(body, given), refused_by)
    seconds = {p: sum(int(n) * (60 if unit == "m" else 1) for n, unit in re.findall("([0-9]+)([ms])", p))
               for p in body["Parameters"]["PropagationTimeout"]["AllowedValues"]}
    same("a PropagationTimeout is refused exactly where Timeout does not hold it and a minute",
         [[p, t] for p, s in seconds.items() for t in body["Parameters"]["Timeout"]["AllowedValues"]
          if bool(refusing(body, {**told, "PropagationTimeout": p, "Timeout": t})) != (t < s + 60)], [])


def refusing(body, given):
    """The rules that refuse these parameters."""
    values = {n: str(given.get(n, p.get("Default", ""))) for n, p in body["Parameters"].items()}
    values = {n: v.split(",") if body["Parameters"][n]["Type"] == "CommaDelimitedList" else v for n, v in values.items()}
    return [n for n, rule in body["Rules"].items() if not all(holds(a["Assert"], values) for a in rule["Assertions"])]


def holds(rule, values):
    """Evaluates a rule of CloudFormation's, with the functions that the template uses."""
    if not isinstance(rule, dict):
        return rule
    (function, of), = rule.items()
    if function == "Ref":
        return values[of]
    of = [holds(o, values) for o in of]
    return {
        "Fn::And": lambda: all(of),
        "Fn::Or": lambda: any(of),
        "Fn::Not": lambda: not of[0],
        "Fn::Equals": lambda: of[0] == of[1],
        "Fn::Contains": lambda: of[1] in of[0],
    }[function]()
