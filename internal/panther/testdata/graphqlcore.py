"""Has graphql-core answer a GraphQL request, or list the types of a schema.

Reads one JSON object: "schema" is the SDL. With "query" it answers that request,
whose fields resolve to the members of "root". Without, it lists the types.
"""

import json
import sys

import graphql


def listed(t):
    entry = {"kind": type(t).__name__}
    if graphql.is_object_type(t):
        for name, field in t.fields.items():
            arguments = ", ".join(sorted(f"{n}: {a.type}" for n, a in field.args.items()))
            entry.setdefault("members", {})[name] = f"({arguments}) {field.type}" if arguments else str(field.type)
    elif graphql.is_enum_type(t):
        entry["members"] = dict.fromkeys(t.values, "")
    elif graphql.is_union_type(t):
        entry["members"] = {member.name: "" for member in t.types}
    elif not graphql.is_scalar_type(t):
        sys.exit(f"{t} is of a kind that the comparison does not know")
    return entry


request = json.load(sys.stdin)
schema = graphql.build_schema(request["schema"])
answer = {"version": graphql.__version__}
if "query" in request:
    result = graphql.graphql_sync(schema, request["query"], request["root"], variable_values=request.get("variables"))
    answer |= result.formatted
else:
    own = {n: t for n, t in schema.type_map.items() if not n.startswith("__") and n not in graphql.specified_scalar_types}
    answer["types"] = {name: listed(t) for name, t in own.items()}
json.dump(answer, sys.stdout)
