package rotation

import "strings"

// What an operator is told to do. <secret> and <version> stand for those of
// the invocation.
const (
	doLetSecretsManager = "The function is meant to be invoked by Secrets Manager: aws secretsmanager rotate-secret --secret-id <secret>"

	doStartRotation = "To start a rotation: aws secretsmanager rotate-secret --secret-id <secret>"

	doRotateIfDead = "Secrets Manager repeats the rotation. If the AWSCURRENT token stays dead, the next rotation finds the other one: aws secretsmanager rotate-secret --secret-id <secret>"

	doCheckStore = "Nothing is lost; Secrets Manager repeats the rotation. If it stays: check the function's role (DescribeSecret, GetSecretValue, PutSecretValue, UpdateSecretVersionStage, ListSecretVersionIds, and kms:Decrypt and kms:GenerateDataKey for a customer managed key) and its network path to Secrets Manager."

	doMendValue = "Nothing was rotated. Put a usable value, either the token alone or a JSON object with the token under the key that SECRET_TOKEN_KEY names: aws secretsmanager put-secret-value --secret-id <secret> --secret-string file://value"

	doRaiseTimeout = "Nothing was rotated. Raise the function's Timeout (240 seconds leave room for everything)."

	doMendEndpoint = "Nothing was rotated. Set PANTHER_API_URL to the API URL that the Panther console shows under Settings > API Tokens, such as https://api.acme.runpanther.net/public/graphql"

	doMendTestEndpoint = "The secret is unchanged by this step. Set PANTHER_API_URL to the API URL that the Panther console shows under Settings > API Tokens, such as https://api.acme.runpanther.net/public/graphql, then: aws secretsmanager rotate-secret --secret-id <secret>"

	doMendPending = "Do not remove AWSPENDING: this version may hold the only living token, in a form that this function does not take. Was SECRET_TOKEN_KEY changed since the rotation began? To look at it: aws secretsmanager get-secret-value --secret-id <secret> --version-id <version>"

	doWait = "The token was not rotated; Secrets Manager repeats the rotation. If it stays: check that the function can reach PANTHER_API_URL (subnet route, NAT, DNS, TLS inspection)."

	doWaitOutcome = "Secrets Manager repeats the rotation, which then finds out. To find out now: aws secretsmanager rotate-secret --secret-id <secret>"

	doNewToken = "Create an API token in the Panther console and put it, which also ends this rotation: aws secretsmanager put-secret-value --secret-id <secret> --secret-string file://value"

	doReplaceRefused = "If the function's address may have changed, compare it with the token's allowed CIDR blocks first. Otherwise the token was deleted, expired or lost. " + doNewToken

	doRestoreSealed = "If RECOVERY_RECIPIENT is set, the log holds the new value, sealed, with the command that restores it. Otherwise do not redeploy the function, which would end the process that holds the token, and run: aws secretsmanager rotate-secret --secret-id <secret>"

	doDropPending = "To keep the current token and drop the dead one: aws secretsmanager update-secret-version-stage --secret-id <secret> --version-stage AWSPENDING --remove-from-version-id <version>"

	doWaitForToken = "Do not remove AWSPENDING: that version may hold the only living token. If the token takes longer to start working, raise PROPAGATION_TIMEOUT and the function's Timeout; if its CIDR blocks do not include the function's address, add it in the Panther console. Then: aws secretsmanager rotate-secret --secret-id <secret>. If the token is not among those in the Panther console, it is dead, and so is the rotation. " + doNewToken
)

func (inv *invocation) fillIn(do string) string {
	return strings.ReplaceAll(strings.ReplaceAll(do, "<secret>", inv.secretARN), "<version>", inv.VersionID)
}
