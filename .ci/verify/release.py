"""Deploys a release from its own bytes in an emulated account, and reads back what is deployed.

    python release.py RELEASE URL

RELEASE is a folder that .ci/release/build filled, with the URL of the repository. upgrade.py applies the released module.
"""

import base64
import hashlib
import logging
import os
import pathlib
import sys

import boto3
from samtranslator.yaml_helper import yaml_parse

import checks
from checks import same
from emulator import emulated_account, resolved
from stack import NAME, Stack

METADATA = ["Name", "Description", "Author", "SpdxLicenseId", "LicenseUrl", "ReadmeUrl", "Labels", "HomePageUrl", "SemanticVersion",
            "SourceCodeUrl"]


def sha256(file):
    return hashlib.sha256(file.read_bytes()).digest()


def check_files(release, template, url):
    checks.of("the files of the release")
    sums = dict(reversed(line.split("  ")) for line in (release / "SHA256SUMS").read_text().splitlines())
    same("SHA256SUMS has every file", sums,
         {f.name: sha256(f).hex() for f in release.iterdir() if f.name != "SHA256SUMS"})
    metadata = template["Metadata"]["AWS::ServerlessRepo::Application"]
    same("what sam publish reads is complete", sorted(metadata), sorted(METADATA))
    same("no entry is empty", [k for k in METADATA if not metadata[k]], [])
    same("its addresses are those of the repository and the tag", [metadata["HomePageUrl"], metadata["SourceCodeUrl"]],
         [url, f"{url}/tree/v{metadata['SemanticVersion']}"])
    same("alarms link to the runbook of the tag", template["Parameters"]["RunbookUrl"]["Default"],
         f"{url}/blob/v{metadata['SemanticVersion']}/deploy/docs/runbook.md")


def check_stack(release, version):
    def template():
        return yaml_parse((release / f"{NAME}.yaml").read_text(encoding="utf-8"))

    with emulated_account():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="artifacts")
        for region, architecture, name in [("eu-central-1", "arm64", "arm64"), ("eu-west-1", "x86_64", "amd64")]:
            file = release / f"{NAME}-{name}.zip"
            s3.upload_file(str(file), "artifacts", f"{NAME}/{version}/{file.name}")
            stack = Stack(template, region, f"the stack for {architecture}", CodeBucket="artifacts", Architecture=architecture)
            wants = base64.b64encode(sha256(file)).decode()
            same("the function has the bytes of the released zip", [stack.function["Architectures"], stack.function["CodeSha256"]],
                 [[architecture], wants])
            same("and no version is published of others", [p["CodeSha256"] for p in resolved[region].values()
                                                          if p["Type"] == "AWS::Lambda::Version"], [wants])
        s3.upload_file(str(file), "artifacts", "mine.zip")
        stack = Stack(template, "eu-west-2", "the stack with a key", CodeBucket="artifacts", CodeKey="mine.zip", Architecture="x86_64")
        same("takes the zip there", stack.function["CodeSha256"], wants)


def main(release, url):
    logging.disable(logging.WARNING)
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
    release = pathlib.Path(release)
    template = yaml_parse((release / f"{NAME}.yaml").read_text(encoding="utf-8"))
    check_files(release, template, url)
    check_stack(release, template["Metadata"]["AWS::ServerlessRepo::Application"]["SemanticVersion"])


if __name__ == "__main__":
    main(*sys.argv[1:])
