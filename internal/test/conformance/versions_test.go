package conformance

import (
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// Sources of the cases, next to those that a case names: "docs" is the page of the
// operation in AWS's API reference,
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
// and so on; "recorded" is what LocalStack recorded of the real service
// (https://github.com/localstack/localstack, tests/aws/services/secretsmanager).

// versionCases are about versions and labels.
var versionCases = []testCase{
	{
		name:  "CreateSecret makes the version that ClientRequestToken names, as AWSCURRENT", // docs
		steps: []step{labels("1 AWSCURRENT"), reads(0, "", "one"), reads(1, "", "one"), reads(0, "AWSCURRENT", "one"), reads(1, "AWSCURRENT", "one")},
	},
	{
		name:  "PutSecretValue without VersionStages moves AWSCURRENT, and AWSPREVIOUS follows", // docs
		steps: []step{put(2, "two"), labels("1 AWSPREVIOUS, 2 AWSCURRENT"), reads(0, "", "two"), reads(0, "AWSPREVIOUS", "one")},
	},
	{
		name:  "the version before the previous one has no label left", // docs
		steps: []step{put(2, "two"), put(3, "three"), labels("2 AWSPREVIOUS, 3 AWSCURRENT")},
	},
	{
		name:  "the first version of a secret is AWSCURRENT whatever its VersionStages", // docs
		empty: true,
		steps: []step{put(2, "two", "AWSPENDING"), labels("2 AWSCURRENT AWSPENDING")},
	},
	{
		name:  "PutSecretValue with AWSPENDING leaves AWSCURRENT where it is", // docs
		steps: []step{put(2, "two", "AWSPENDING"), labels("1 AWSCURRENT, 2 AWSPENDING"), reads(0, "", "one"), reads(0, "AWSPENDING", "two")},
	},
	{
		name:  "PutSecretValue may be repeated", // docs: "the request is ignored because the operation is idempotent"
		steps: []step{put(2, "two"), put(2, "two"), labels("1 AWSPREVIOUS, 2 AWSCURRENT"), reads(2, "", "two")},
	},
	{
		name: "PutSecretValue does not change a version's value", // docs; message as users report it
		steps: []step{
			put(2, "two"),
			refused(put(2, "other"), "ResourceExistsException", "You can't use ClientRequestToken 2 because that value is already in use for a version of secret"),
			reads(2, "", "two"),
		},
	},
	{
		name: "PutSecretValue does not change an AWSPENDING version's value", // docs
		steps: []step{
			put(2, "two", "AWSPENDING"),
			refused(put(2, "other", "AWSPENDING"), "ResourceExistsException", ""),
			reads(2, "", "two"),
		},

		motoDiffers: "PutSecretValue succeeds",
	},
	{
		name:  "AWSPENDING sits on one version", // docs, recorded
		steps: []step{put(2, "two", "AWSPENDING"), put(3, "three", "AWSPENDING"), labels("1 AWSCURRENT, 3 AWSPENDING")},
	},
	{
		name:  "a custom label sits on one version", // docs, recorded
		steps: []step{put(2, "two", "BLUE"), put(3, "three", "BLUE", "GREEN"), labels("1 AWSCURRENT, 3 BLUE GREEN")},
	},
	{
		name:  "a new AWSCURRENT takes AWSPENDING off an older version", // recorded
		steps: []step{put(2, "two", "AWSPENDING"), put(3, "three"), labels("1 AWSPREVIOUS, 3 AWSCURRENT")},

		motoDiffers: "the labels are 1 AWSPREVIOUS, 2 AWSPENDING, 3 AWSCURRENT",
	},
	{
		name:  "UpdateSecretVersionStage leaves AWSPENDING next to AWSCURRENT, and AWSPREVIOUS follows", // recorded
		steps: []step{put(2, "two", "AWSPENDING"), move("AWSCURRENT", 2, 1), labels("1 AWSPREVIOUS, 2 AWSCURRENT AWSPENDING")},
	},
	{
		name:  "AWSCURRENT moves back, and AWSPREVIOUS with it", // docs
		steps: []step{put(2, "two"), move("AWSCURRENT", 1, 2), labels("1 AWSCURRENT, 2 AWSPREVIOUS")},
	},
	{
		name:  "GetSecretValue reads AWSCURRENT where UpdateSecretVersionStage moved it", // docs
		steps: []step{put(2, "two", "AWSPENDING"), move("AWSCURRENT", 2, 1), reads(0, "AWSCURRENT", "two"), reads(0, "", "two")},

		motoDiffers: `GetSecretValue reads "one"`,
	},
	{
		name:  "PutSecretValue takes AWSCURRENT from where UpdateSecretVersionStage moved it", // docs
		steps: []step{put(2, "two", "BLUE"), move("AWSCURRENT", 2, 1), put(3, "three"), labels("2 AWSPREVIOUS BLUE, 3 AWSCURRENT")},

		motoDiffers: "the labels are 1 AWSPREVIOUS, 2 AWSCURRENT BLUE, 3 AWSCURRENT",
	},
	{
		// docs: "If the label is attached and you either do not specify this parameter, or
		// the version ID does not match, then the operation fails."; message as users of
		// Terraform's provider report it
		// (https://github.com/hashicorp/terraform-provider-aws/issues/19943).
		name: "AWSCURRENT does not move without RemoveFromVersionId",
		steps: []step{
			put(2, "two", "AWSPENDING"),
			refused(move("AWSCURRENT", 2, 0), "InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version 1, so you must explicitly reference that version in RemoveFromVersionId."),
			labels("1 AWSCURRENT, 2 AWSPENDING"),
		},
	},
	{
		name: "AWSPENDING does not move without RemoveFromVersionId", // docs
		steps: []step{
			put(2, "two", "AWSPENDING"),
			refused(move("AWSPENDING", 1, 0), "InvalidParameterException", ""),
			labels("1 AWSCURRENT, 2 AWSPENDING"),
		},

		motoDiffers: "UpdateSecretVersionStage succeeds", // and it sits on both
	},
	{
		name: "a label does not move from a version that does not have it", // docs
		steps: []step{
			put(2, "two", "AWSPENDING"),
			refused(move("AWSCURRENT", 2, 2), "InvalidParameterException", ""),
			labels("1 AWSCURRENT, 2 AWSPENDING"),
		},
	},
	{
		name: "AWSCURRENT is not taken off without moving", // docs
		steps: []step{
			refused(move("AWSCURRENT", 0, 1), "InvalidParameterException", ""),
			labels("1 AWSCURRENT"),
		},

		motoDiffers: "UpdateSecretVersionStage succeeds",
	},
	{
		name:  "AWSPENDING is taken off by hand", // docs
		steps: []step{put(2, "two", "AWSPENDING"), move("AWSPENDING", 0, 2), labels("1 AWSCURRENT"), reads(2, "", "two")},
	},
	{
		name:  "a label that is nowhere is attached", // docs
		steps: []step{put(2, "two"), move("BLUE", 1, 0), labels("1 AWSPREVIOUS BLUE, 2 AWSCURRENT")},
	},
	{
		name: "GetSecretValue wants VersionStage on the version of VersionId", // recorded
		steps: []step{
			put(2, "two", "AWSPENDING"),
			refused(get(1, "AWSPENDING"), "InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId."),
		},
	},
	{
		name:  "GetSecretValue of a label that no version has", // recorded
		steps: []step{refused(get(0, "AWSPREVIOUS"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS")},

		motoDiffers: "GetSecretValue answers ResourceNotFoundException: Secrets Manager can't find the specified secret.",
	},
	{
		name:  "GetSecretValue of a version that is not there", // recorded
		steps: []step{refused(get(2, ""), "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: 2")},
	},
	{
		name:  "GetSecretValue of a secret without a value", // recorded
		empty: true,
		steps: []step{refused(get(0, ""), "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT")},
	},
	{
		name:  "an error of the client has HTTP status 400", // docs, recorded
		steps: []step{clientErrorStatus(get(2, "")), clientErrorStatus(get(0, "AWSPENDING"))},

		onWire: true,

		motoDiffers: "GetSecretValue answers with HTTP status 404",
	},
	{
		name: "DescribeSecret leaves out versions without labels", // docs, recorded
		steps: []step{
			put(2, "two"), put(3, "three"),
			shows("versions with labels only", func(d *sdk.DescribeSecretOutput) bool { return len(d.VersionIdsToStages) == 2 }),
		},

		motoDiffers: "DescribeSecret does not show versions with labels only",
	},
	{
		name:  "ListSecretVersionIds leaves out versions without labels", // docs, IncludeDeprecated
		steps: []step{put(2, "two"), put(3, "three"), lists("2 AWSPREVIOUS, 3 AWSCURRENT")},

		motoDiffers: "ListSecretVersionIds lists 1, 2 AWSPREVIOUS, 3 AWSCURRENT",
	},
	{
		name:  "ListSecretVersionIds lists versions without labels if asked, and they can be read", // docs, IncludeDeprecated
		steps: []step{put(2, "two"), put(3, "three"), lists("1, 2 AWSPREVIOUS, 3 AWSCURRENT", includeDeprecated), reads(1, "", "one")},
	},
	{
		name:  "ListSecretVersionIds ends without a NextToken", // docs
		steps: []step{listsTheLastPage},

		motoDiffers: `ListSecretVersionIds answers NextToken ""`,
	},
	{
		name:  "ListSecretVersionIds dates versions by their creation", // docs
		steps: []step{listsByCreation},

		motoDiffers: "ListSecretVersionIds dates a version again",
	},
	{
		name:  "a value has 65,536 bytes", // docs
		steps: []step{put(2, strings.Repeat("x", 65536)), labels("1 AWSPREVIOUS, 2 AWSCURRENT")},
	},
	{
		// docs; code and message as users report them of the smaller limit of old
		// (https://github.com/kubernetes-sigs/cluster-api-provider-aws/issues/1531).
		name:  "a value has no more than 65,536 bytes",
		steps: []step{refused(put(2, strings.Repeat("x", 65537)), "ValidationException", "1 validation error detected: "), labels("1 AWSCURRENT")},

		motoDiffers: "PutSecretValue succeeds",
	},
	{
		name:          "the limit of a value counts bytes, not characters",
		steps:         []step{refused(put(2, strings.Repeat("é", 32769)), "ValidationException", ""), labels("1 AWSCURRENT")},
		notKnownOfAWS: true, // the docs say bytes, and that the parameter has characters
	},
	{
		name:          "an identical PutSecretValue does not put labels back",
		steps:         []step{put(2, "two"), put(1, "one"), labels("1 AWSPREVIOUS, 2 AWSCURRENT")},
		notKnownOfAWS: true,
	},
	{
		name:          "an identical PutSecretValue does not add labels",
		steps:         []step{put(1, "one", "AWSCURRENT", "BLUE"), labels("1 AWSCURRENT")},
		notKnownOfAWS: true,
	},
	{
		name:          "a label does not move to a version that is not there",
		steps:         []step{refused(move("AWSCURRENT", 2, 1), "ResourceNotFoundException", ""), labels("1 AWSCURRENT")},
		notKnownOfAWS: true,
	},
	{
		name:          "a custom label stays when AWSCURRENT leaves its version",
		steps:         []step{move("BLUE", 1, 0), put(2, "two"), labels("1 AWSPREVIOUS BLUE, 2 AWSCURRENT")},
		notKnownOfAWS: true,
	},
}
