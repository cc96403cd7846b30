"""The part of W&B's schema for which local runs have no data: artifacts, sweeps, reports, registries, automations.

Clients query these along with what a log has. They get what W&B sends if there is none: an empty connection, an empty
list, or null. The types exist so that clients' queries are valid; no resolver ever returns one of them.
"""

from __future__ import annotations

from typing import Any

from graphql import GraphQLList, GraphQLNonNull, GraphQLOutputType, get_named_type, is_leaf_type

__all__ = ["ABSENT_SCHEMA", "absent_value"]

NO_PAGE = {
    "edges": [],
    "pageInfo": {"startCursor": None, "endCursor": None, "hasNextPage": False, "hasPreviousPage": False},
    "totalCount": 0,
}

_CONNECTION = "Connection"


def absent_value(kind: GraphQLOutputType) -> Any:
    """Returns the empty value of a field for which local runs have no data.

    Args:
        kind: The field's type.

    Returns:
        A value of that type: an empty connection or list, or null; 0 or an empty string where null is not allowed.

    Raises:
        TypeError: The type has no empty value.
    """
    is_required = isinstance(kind, GraphQLNonNull)
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if isinstance(inner, GraphQLList):
        return []
    named = get_named_type(inner)
    if named.name.endswith(_CONNECTION):
        return NO_PAGE
    if not is_required:
        return None
    if not is_leaf_type(named):
        raise TypeError(f"{kind} has no empty value")
    return {"Int": 0, "Int64": 0, "Boolean": False}.get(named.name, "")


def _connections(*names: str, **nodes: str) -> str:
    """Declares connection types. A positional name is also the node's type; a keyword maps a name to another type."""
    return "\n".join(
        f"""
type {name}Connection {{
    edges: [{name}Edge!]!
    pageInfo: PageInfo!
    totalCount: Int!
}}

type {name}Edge {{
    node: {node}
    cursor: String
}}
"""
        for name, node in [*zip(names, names, strict=True), *nodes.items()]
    )


_FIELDS = """
extend type Query {
    artifact(id: ID!): Artifact
    artifactCollection(id: ID!): ArtifactCollection
    clientIDMapping(clientID: ID!): ClientIDMapping
    organization(name: String!): Organization
    users(query: String): UserConnection
    launchAgent(id: ID!): LaunchAgent
}

extend type Entity {
    organization: Organization
    members: [Member!]
    integrations(after: String, first: Int): IntegrationConnection
    triggers(after: String, first: Int, order: String, filters: JSONString): TriggerConnection
    defaultResourceConfig(id: ID!): ResourceConfig
}

extend type User {
    photoUrl: String
    organizations: [Organization!]
}

extend type Project {
    access: String
    repo: String
    dockerImage: String
    updatedAt: DateTime
    allowAllArtifactTypesInRegistry: Boolean
    totalSweeps: Int!
    sweep(sweepName: String!): Sweep
    sweeps(after: String, first: Int, filters: JSONString): SweepConnection
    allViews(viewType: String, viewName: String, first: Int, after: String): ViewConnection
    artifact(name: String!, enableTracking: Boolean): Artifact
    artifactType(name: String!): ArtifactType
    artifactTypes(includeAll: Boolean, after: String, first: Int): ArtifactTypeConnection
    artifactCollection(name: String!): ArtifactCollection
    artifactCollections(after: String, first: Int, filters: JSONString, order: String): ArtifactCollectionConnection
    artifactCollectionMembership(name: String!): ArtifactCollectionMembership
    members: [ProjectMember!]
    teamMembers: [ProjectTeamMember!]
    triggers: [Trigger!]
    runQueue(name: String!): RunQueue
    runQueues: [RunQueue!]
}

extend type Run {
    inputArtifacts(after: String, first: Int): InputArtifactConnection
    outputArtifacts(after: String, first: Int): ArtifactConnection
}
"""

_ARTIFACTS = """
type Artifact {
    id: ID!
    artifactSequence: ArtifactSequence
    artifactType: ArtifactType
    artifactMemberships(first: Int): ArtifactCollectionMembershipConnection
    aliases: [ArtifactAlias!]
    versionIndex: Int
    description: String
    metadata: JSONString
    ttlDurationSeconds: Int64
    ttlIsInherited: Boolean
    tags: [Tag!]
    historyStep: Int64
    state: String
    size: Int64
    digest: String
    digestAlgorithm: String
    commitHash: String
    fileCount: Int64
    createdAt: DateTime
    updatedAt: DateTime
    createdBy: ArtifactCreator
    usedBy: RunConnection
    currentManifest: ArtifactManifest
    files(after: String, first: Int, names: [String!]): FileConnection
}

union ArtifactCreator = Run | User

type ArtifactManifest {
    file: File
}

type ArtifactAlias {
    id: ID!
    alias: String!
    artifactCollection: ArtifactCollection
}

type Tag {
    id: ID!
    name: String!
}

type ArtifactType {
    id: ID!
    name: String!
    description: String
    createdAt: DateTime
    artifact(name: String!): Artifact
    artifactCollection(name: String!): ArtifactCollection
    artifactCollections(after: String, first: Int, filters: JSONString, order: String): ArtifactCollectionConnection
}

interface ArtifactCollection {
COLLECTION
}

type ArtifactSequence implements ArtifactCollection {
COLLECTION
}

type ArtifactPortfolio implements ArtifactCollection {
COLLECTION
}

enum ArtifactCollectionType {
    SEQUENCE
    PORTFOLIO
}

type VersionedArtifactConnection {
    edges: [VersionedArtifactEdge!]!
    pageInfo: PageInfo!
    totalCount: Int!
}

type VersionedArtifactEdge {
    node: Artifact
    version: String
    cursor: String
}

type ArtifactCollectionMembership {
    id: ID!
    versionIndex: Int
    createdAt: DateTime
    aliases: [ArtifactAlias!]
    artifact: Artifact
    artifactCollection: ArtifactCollection
    files(after: String, first: Int, names: [String!]): FileConnection
}

type ClientIDMapping {
    serverID: ID!
}
""".replace(
    "COLLECTION\n",
    """\
    id: ID!
    name: String!
    description: String
    createdAt: DateTime
    updatedAt: DateTime
    project: Project
    defaultArtifactType: ArtifactType
    tags: TagConnection
    aliases(after: String, first: Int): ArtifactAliasConnection
    artifactMembership(aliasName: String!): ArtifactCollectionMembership
    artifacts(after: String, first: Int, order: String, filters: JSONString): VersionedArtifactConnection
""",
)

_SWEEPS_AND_REPORTS = """
type Sweep {
    id: ID!
    name: String!
    displayName: String
    method: String
    state: String
    description: String
    bestLoss: Float
    config: String
    controller: JSONString
    scheduler: JSONString
    createdAt: DateTime
    updatedAt: DateTime
    heartbeatAt: DateTime
    earlyStopJobRunning: Boolean
    runCount: Int
    runCountExpected: Int
    runs(after: String, first: Int): RunConnection
    agent(agentName: String!): Agent
    agents: AgentConnection
}

type Agent {
    id: ID!
    name: String!
    host: String
    state: String
    totalRuns: Int
    createdAt: DateTime
    heartbeatAt: DateTime
    runs(after: String, before: String, first: Int, last: Int, order: String): RunConnection
}

type View {
    id: ID!
    name: String!
    displayName: String
    description: String
    user: User
    spec: String
    updatedAt: DateTime
    createdAt: DateTime
}
"""

_TEAMS = """
type Organization {
    id: ID!
    name: String!
    orgEntity: OrgEntity
    advancedRegistryFeatures: AdvancedRegistryFeatures
    triggers(after: String, first: Int, order: String, filters: JSONString): TriggerConnection
}

type AdvancedRegistryFeatures {
    advancedSearch: Boolean
}

type OrgEntity {
    id: ID!
    name: String!
    entityType: String
    projects(after: String, first: Int, order: String, filters: JSONString): ProjectConnection
    artifactMemberships(
        projectFilters: JSONString, collectionFilters: JSONString, filters: JSONString,
        after: String, first: Int, order: String
    ): ArtifactCollectionMembershipConnection
    artifactCollections(
        projectFilters: JSONString, filters: JSONString, collectionTypes: [ArtifactCollectionType!],
        after: String, first: Int, order: String
    ): ArtifactCollectionConnection
}

type Member {
    id: ID!
    name: String
    username: String
    email: String
    admin: Boolean
    role: String
    pending: Boolean
    photoUrl: String
    accountType: String
    apiKey: String
}

type Role {
    name: String!
}

type ProjectMember {
    id: ID!
    name: String
    username: String
    email: String
    role: Role
}

type ProjectTeamMember {
    team: Entity
    role: Role
}
"""

_AUTOMATIONS = """
type Trigger {
    id: ID!
    name: String!
    description: String
    enabled: Boolean
    createdAt: DateTime
    updatedAt: DateTime
    scope: TriggerScope
    triggeringCondition: TriggeringCondition
    triggeredAction: TriggeredAction
}

union TriggerScope = Project | ArtifactPortfolio | ArtifactSequence | Entity

union TriggeringCondition = FilterEventTriggeringCondition

union TriggeredAction =
    | QueueJobTriggeredAction
    | NotificationTriggeredAction
    | GenericWebhookTriggeredAction
    | NoOpTriggeredAction
    | ARIATriggeredAction

type FilterEventTriggeringCondition {
    eventType: String
    filter: JSONString
}

type QueueJobTriggeredAction {
    queue: RunQueue
    template: JSONString
}

type NotificationTriggeredAction {
    integration: Integration
    title: String
    message: String
    severity: String
}

type GenericWebhookTriggeredAction {
    integration: Integration
    requestPayload: JSONString
}

type NoOpTriggeredAction {
    noOp: Boolean
}

type ARIATriggeredAction {
    prompt: String
}

union Integration = SlackIntegration | GenericWebhookIntegration

type SlackIntegration {
    id: ID!
    teamName: String
    channelName: String
}

type GenericWebhookIntegration {
    id: ID!
    name: String
    urlEndpoint: String
}
"""

_LAUNCH = """
type RunQueue {
    id: ID!
    name: String!
    access: String
    createdBy: ID
    defaultResourceConfigID: ID
    prioritizationMode: String
    externalLinks: JSON
    runQueueItem(id: ID!): RunQueueItem
    runQueueItems(first: Int): RunQueueItemConnection
}

type RunQueueItem {
    id: ID!
    state: String
    associatedRunId: String
}

type ResourceConfig {
    config: JSON
    resource: String
    templateVariables: [TemplateVariable!]
}

type TemplateVariable {
    name: String!
    schema: JSONString
}

type LaunchAgent {
    id: ID!
    name: String!
    runQueues: [String!]
    hostname: String
    agentStatus: String
    stopPolling: Boolean
    heartbeatAt: DateTime
}
"""

ABSENT_SCHEMA = "".join(
    (
        _FIELDS,
        _ARTIFACTS,
        _SWEEPS_AND_REPORTS,
        _TEAMS,
        _AUTOMATIONS,
        _LAUNCH,
        _connections(
            "Agent",
            "Artifact",
            "ArtifactAlias",
            "ArtifactCollection",
            "ArtifactCollectionMembership",
            "ArtifactType",
            "Integration",
            "RunQueueItem",
            "Sweep",
            "Tag",
            "Trigger",
            "User",
            "View",
            InputArtifact="Artifact",
        ),
    )
)
