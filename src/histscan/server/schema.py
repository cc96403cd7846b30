"""The part of W&B's GraphQL schema that readers of history use.

Names and nullability follow W&B's schema, as far as its clients show it. Types for which local runs have no data are in
`absent`. Resolvers return lists of rows and JSON values already encoded: the executor passes an `orjson.Fragment` as
one leaf, however many rows it holds.
"""

from __future__ import annotations

from functools import cache

from graphql import GraphQLObjectType, GraphQLSchema, build_schema

from histscan.server.absent import ABSENT_SCHEMA, absent_value
from histscan.server.query_context import always
from histscan.server.resolvers import RESOLVERS

__all__ = ["SCHEMA_TEXT", "make_schema"]

SCHEMA_TEXT = '''
"""Text that is JSON."""
scalar JSONString

"""Any JSON value."""
scalar JSON

"""A whole number of 64 bits."""
scalar Int64

"""A time like 2026-01-31T12:00:00Z."""
scalar DateTime

type Query {
    viewer: User
    serverInfo: ServerInfo
    entity(name: String): Entity
    project(name: String, entityName: String): Project
    model(name: String, entityName: String): Project
    "The projects of an entity; without one, of all entities."
    models(entityName: String, after: String, first: Int = 50): ProjectConnection
}

type ServerInfo {
    cliVersionInfo: JSON
    latestLocalVersionInfo: LocalVersionInfo
    features: [ServerFeature!]!
}

type LocalVersionInfo {
    outOfDate: Boolean!
    latestVersionString: String!
    versionOnThisInstanceString: String!
}

type ServerFeature {
    name: String!
    isEnabled: Boolean!
}

type User {
    id: ID!
    name: String!
    username: String
    email: String
    admin: Boolean
    flags: JSONString
    entity: String
    deletedAt: DateTime
    apiKeys: ApiKeyConnection
    teams: EntityConnection
    projects(after: String, first: Int = 50): ProjectConnection
}

type ApiKeyConnection {
    edges: [ApiKeyEdge!]!
}

type ApiKeyEdge {
    node: ApiKey
}

type ApiKey {
    id: ID!
    name: String!
    description: String
}

type EntityConnection {
    edges: [EntityEdge!]!
}

type EntityEdge {
    node: Entity
}

type Entity {
    id: ID!
    name: String!
    isTeam: Boolean!
    entityType: String
    available: Boolean
    photoUrl: String
    readOnly: Boolean
    readOnlyAdmin: Boolean
    privateOnly: Boolean
    storageBytes: Int64
    codeSavingEnabled: Boolean
    defaultAccess: String
    isPaid: Boolean
    user: User
    project(name: String, entityName: String): Project
    projects(after: String, first: Int = 50, filters: JSONString, order: String): ProjectConnection
}

type PageInfo {
    startCursor: String
    endCursor: String
    hasNextPage: Boolean!
    hasPreviousPage: Boolean!
}

type ProjectConnection {
    edges: [ProjectEdge!]!
    pageInfo: PageInfo!
}

type ProjectEdge {
    node: Project
    cursor: String!
}

type Project {
    id: ID!
    internalId: ID!
    name: String!
    entityName: String!
    entity: Entity!
    description: String
    createdAt: DateTime!
    isBenchmark: Boolean!
    readOnly: Boolean
    user: User
    runCount(filters: JSONString): Int!
    run(name: String!, desc: String): Run
    bucket(name: String!, desc: String, missingOk: Boolean): Run
    buckets(filters: JSONString, after: String, first: Int = 50, order: String): RunConnection
    runs(filters: JSONString, after: String, first: Int = 50, order: String): RunConnection
}

type RunConnection {
    edges: [RunEdge!]!
    pageInfo: PageInfo!
    totalCount: Int!
}

type RunEdge {
    node: Run!
    cursor: String!
}

type Run {
    id: ID!
    projectId: ID!
    project: Project
    "The run's id, as wandb calls it."
    name: String!
    displayName: String
    state: String
    exitcode: Int
    running: Boolean
    failed: Boolean
    stopped: Boolean
    shouldStop: Boolean
    config: JSONString
    summaryMetrics: JSONString
    systemMetrics: JSONString
    tags: [String!]
    group: String
    jobType: String
    commit: String
    runInfo: RunInfo
    sweepName: String
    readOnly: Boolean
    createdAt: DateTime!
    heartbeatAt: DateTime
    updatedAt: DateTime
    description: String
    notes: String
    host: String
    user: User
    historyLineCount: Int
    historyKeys: JSON
    "Rows as JSON text, from minStep to before maxStep; if there are more than samples, evenly sampled."
    history(minStep: Int64, maxStep: Int64, samples: Int): [JSONString!]
    "The metrics of the machine as JSON text; if there are more than samples, evenly sampled."
    events(samples: Int): [JSONString!]
    eventsLineCount: Int
    "For each spec, a list of the rows that have all of its keys; its maxStep is inclusive."
    sampledHistory(specs: [JSONString!]!): [JSON]!
    "The exported files, and the rows that are not in them and have all of liveKeys."
    parquetHistory(liveKeys: [String!]!): ParquetHistory!
    fileCount: Int
    files(names: [String], after: String, first: Int, pattern: String): FileConnection
}

type RunInfo {
    program: String
    args: [String!]
    os: String
    python: String
    colab: String
    executable: String
    codeSaved: Boolean
    cpuCount: Int
    gpuCount: Int
    gpu: String
    git: GitInfo
}

type GitInfo {
    remote: String
    commit: String
}

type ParquetHistory {
    parquetUrls: [String!]!
    liveData: [JSON!]!
}

type FileConnection {
    edges: [FileEdge!]!
    pageInfo: PageInfo!
    totalCount: Int!
}

type FileEdge {
    node: File
    cursor: String!
}

type File {
    id: ID!
    name: String!
    url(upload: Boolean = false): String
    directUrl: String
    sizeBytes: Int64
    mimetype: String
    md5: String
    digest: String
    displayName: String
    storagePath: String
    updatedAt: DateTime
    createdAt: DateTime
}
'''


@cache
def make_schema() -> GraphQLSchema:
    """Builds the schema with its resolvers.

    Returns:
        The schema; always the same object.
    """
    schema = build_schema(SCHEMA_TEXT + ABSENT_SCHEMA)
    for type_name, resolvers in RESOLVERS.items():
        object_type = schema.type_map[type_name]
        if not isinstance(object_type, GraphQLObjectType):
            raise TypeError(f"{type_name} has no fields")
        for field_name, resolver in resolvers.items():
            object_type.fields[field_name].resolve = resolver
        for extension in object_type.extension_ast_nodes:
            for node in extension.fields or ():
                field = object_type.fields[node.name.value]
                field.resolve = always(absent_value(field.type))
    return schema
