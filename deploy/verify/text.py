"""Checks of what template.yaml says and the emulated account takes no notice of."""

import checks
from checks import same


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

    for given, refused_by in [
        ({}, []),
        ({"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1", "AlarmEmail": "a@example.com", "SecretId": "s"}, []),
        ({"SubnetIds": "subnet-1"}, ["SubnetsWithSecurityGroups"]),
        ({"SecurityGroupIds": "sg-1"}, ["SubnetsWithSecurityGroups"]),
        ({"AlarmEmail": "a@example.com", "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:t"}, ["OneWayToBeTold"]),
        ({"SecretId": "s", "SecretAccountId": "123456789012"}, ["SchedulesInThisAccountOnly"]),
    ]:
        values = {n: given.get(n, p.get("Default", "")) for n, p in body["Parameters"].items()}
        values = {n: v.split(",") if body["Parameters"][n]["Type"] == "CommaDelimitedList" else v for n, v in values.items()}
        refusing = [n for n, rule in body["Rules"].items()
                    if not all(holds(a["Assert"], values) for a in rule["Assertions"])]
        same(f"{', '.join(given) or 'nothing'} given: {'refused by ' + refused_by[0] if refused_by else 'taken'}", refusing, refused_by)


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
