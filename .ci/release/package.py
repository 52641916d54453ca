"""Writes the deployments of a release, which name the function's zips by hash, and the checksums of all its files.

    python package.py FOLDER [URL]

FOLDER holds the zips. URL is the address of the repository.
"""

import base64
import hashlib
import pathlib
import re
import subprocess
import sys
import zipfile

NAME = "panther-token-rotation"
ZIPS = {"arm64": f"{NAME}-arm64.zip", "x86_64": f"{NAME}-amd64.zip"}  # by Lambda's name of the architecture


def stamped(file, *replacements):
    """The text of a file with each replacement made. Each place must be there exactly once."""
    text = pathlib.Path(file).read_text(encoding="utf-8")
    for old, new in replacements:
        if text.count(old) != 1:
            sys.exit(f"{file} has {text.count(old)} places that read {old!r}, and a release needs one.")
        text = text.replace(old, new)
    return text


def template(version, hashes, links):
    """template.yaml for the zips in a bucket. What it says of sam build is gone."""
    # CloudFormation makes a new version if its logical id is new, whatever it does if a property changes.
    code = "Code" + hashlib.sha256("".join(hashes.values()).encode()).hexdigest()[:12]
    return stamped(
        "template.yaml",
        ("# For x86_64, change this. A parameter could differ between sam build and sam deploy.\n"
         "Mappings:\n  Build:\n    Function: {Architecture: arm64}\n\n", ""),
        ("\nParameters:\n", f"""
Parameters:
  CodeBucket:
    Type: String
    Description: S3 bucket, in the region of the stack, to which you copied the function's zip.
    AllowedPattern: ^[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9]$
    ConstraintDescription: the name of a bucket
  CodeKey:
    Type: String
    Default: ""
    Description: Key of the zip. Empty means {NAME}/{version}/, and then the name that the zip has in the release.
  Architecture:
    Type: String
    Default: arm64
    AllowedValues: [arm64, x86_64]
    Description: Architecture of the function. It decides which zip of the release the stack takes.
"""),
        ("    ParameterGroups:\n",
         "    ParameterGroups:\n      - Label: {default: Code}\n        Parameters: [CodeBucket, CodeKey, Architecture]\n"),
        ("    ParameterLabels:\n",
         "    ParameterLabels:\n      CodeBucket: {default: Bucket of the zip}\n      CodeKey: {default: Key of the zip}\n"
         "      Architecture: {default: Architecture}\n"),
        ("\nConditions:\n", "\nConditions:\n  OnArm64: !Equals [!Ref Architecture, arm64]\n"
         "  HasCodeKey: !Not [!Equals [!Ref CodeKey, \"\"]]\n"),
        ("""      BuildMethod: makefile
      ProjectRootDirectory: .
      # sam build does not pass the architecture to make. It reads the Makefile of this folder.
      ContextPath: !Sub
        - deploy/sam/${Architecture}
        - Architecture: !FindInMap [Build, Function, Architecture]
""", ""),
        ("""      # This folder does not exist, so that deploying without building fails. sam build builds the project's root and
      # replaces this path with its own folder.
      CodeUri: sam-build-makes-this
""", f"""\
      CodeUri:
        Bucket: !Ref CodeBucket
        Key: !If
          - HasCodeKey
          - !Ref CodeKey
          - !If [OnArm64, {NAME}/{version}/{ZIPS["arm64"]}, {NAME}/{version}/{ZIPS["x86_64"]}]
"""),
        ("      Architectures: [!FindInMap [Build, Function, Architecture]]\n", "      Architectures: [!Ref Architecture]\n"),
        ("  # Secrets Manager invokes the function as soon as a schedule exists. The permission must exist before.\n", f"""\
  # Lambda publishes this version only if the function's zip has this hash. Other bytes fail the deployment.
  {code}:
    Type: AWS::Lambda::Version
    Properties:
      FunctionName: !Ref Function
      Description: Release {version}
      CodeSha256: !If [OnArm64, {hashes["arm64"]}, {hashes["x86_64"]}]

  # Secrets Manager invokes the function as soon as a schedule exists. The permission must exist before, and the zip must
  # have the release's hash.
"""),
        ("    DependsOn: SecretsManagerPermission\n", f"    DependsOn: [SecretsManagerPermission, {code}]\n"),
        *links,
    )


def module(version, hashes, links):
    """The files of the Terraform module, by path, but for its tests."""
    listed = subprocess.run(["git", "ls-files", "deploy/terraform"], capture_output=True, text=True, check=True).stdout
    files = {}
    for file in sorted(listed.splitlines()):
        path = file.removeprefix("deploy/terraform/")
        if not path.startswith(("tests/", ".")):
            files[path] = pathlib.Path(file).read_text(encoding="utf-8")
    files["release.tf"] = stamped(
        "deploy/terraform/release.tf",
        *((f'{architecture:6} = ""', f'{architecture:6} = "{sha256}"') for architecture, sha256 in hashes.items()))
    files["variables.tf"] = stamped("deploy/terraform/variables.tf", *links)
    return files


def main(folder, url=""):
    folder = pathlib.Path(folder)
    version, = re.findall(r'^const Number = "(.*)"$', pathlib.Path("internal/version/version.go").read_text(), re.M)
    if f"    SemanticVersion: {version}\n" not in pathlib.Path("template.yaml").read_text():
        sys.exit(f"internal/version has {version}, and SemanticVersion in template.yaml differs. Write the same into both.")
    hashes = {architecture: base64.b64encode(hashlib.sha256((folder / name).read_bytes()).digest()).decode()
              for architecture, name in ZIPS.items()}

    runbook = f"{url}/blob/v{version}/deploy/docs/runbook.md"
    (folder / f"{NAME}.yaml").write_text(template(version, hashes, [
        (f"    SemanticVersion: {version}\n",
         f"    SemanticVersion: {version}\n    HomePageUrl: {url}\n    SourceCodeUrl: {url}/tree/v{version}\n"),
        ("    Default: deploy/docs/runbook.md\n", f"    Default: {runbook}\n"),
    ] if url else []), encoding="utf-8")
    (folder / f"{NAME}-cross-account.yaml").write_bytes(pathlib.Path("deploy/cross-account.yaml").read_bytes())

    # Stored, because compressors differ between machines.
    with zipfile.ZipFile(folder / f"{NAME}-terraform.zip", "w", zipfile.ZIP_STORED) as archive:
        for path, text in module(version, hashes, [('= "deploy/docs/runbook.md"', f'= "{runbook}"')] if url else []).items():
            entry = zipfile.ZipInfo(path)  # of 1980, the first year that a zip can hold
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, text)

    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
            for file in sorted(folder.iterdir()) if file.name != "SHA256SUMS"]
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
