// Made from docs/openapi.json by tools/generate.js; don't edit.

/** One of several objects: what only some of them have is undefined in the others. */
export type OneOf<T, K extends PropertyKey = T extends unknown ? keyof T : never> = T extends unknown
  ? T & { [P in Exclude<K, keyof T>]?: undefined }
  : never;

/** Whether an account stands, as others are told. */
export type AccountState = "active" | "disabled" | "deleted";

/** As what somebody is to be in the group. */
export type AddParticipantBody = {
  role?: ParticipantRole | null;
};

/** One has read all notifications. */
export type AllNotificationsReadFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: Nothing;
  type: "notification.all-read";
};

/** What a user says of their availability; said alike in the API, hence its schema there. */
export type Availability = "online" | "away" | "busy" | "offline";

export type AvatarUrl = string;

export type Bio = string;

export type Body = string;

/** All that was missed has been said; what follows is new. */
export type CaughtUpFrame = {
  /** Resumes here. */
  cursor: string;
  /** For `Parlor-Min-Position`: what is read with it lacks nothing that comes before. */
  position: string;
  type: "caught-up";
};

/** Asks for another address. The answer is the same whether or not somebody has it already; the mail there tells. */
export type ChangeEmail = {
  /** The password, once more. */
  currentPassword: string;
  /** The new one. */
  email: string;
};

/** Chooses a new password. The other sessions end. */
export type ChangePassword = {
  /** The present one. */
  currentPassword: string;
  /** 8 to 128 characters; none of the commonest, nor your own name or address. */
  newPassword: string;
};

/** Sets both: a text that is left out is taken away. */
export type ChangeUserStatus = {
  /** Whether they are there. */
  status: Availability;
  text?: StatusText | null;
};

/** The connection ends. */
export type ClosedFrame = {
  /** Why. */
  code: string;
  /** When to come back, in milliseconds; never, if it is missing. */
  retryAfterMs?: number;
  type: "closed";
};

/** What the commands of one name came to. */
export type CommandTotals = {
  /** How long one took on average, in milliseconds. */
  averageMs: number;
  /** Those that took effect, or found nothing to do. */
  done: number;
  /** Those that failed or were too late. */
  failed: number;
  /** Its name. */
  name: string;
  /** Those that were refused. */
  refused: number;
  /** Those that were answered from the ledger. */
  replayed: number;
};

/** One's own list of contacts has somebody more. */
export type ContactAddedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: ContactChanged;
  type: "user.contact-added";
};

/** A change of one's list of contacts. */
export type ContactChanged = {
  /** Who is on it, or isn't any more. */
  contactId: string;
  /** Whose list. */
  userId: string;
};

/** One's own list of contacts has somebody less. */
export type ContactRemovedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: ContactChanged;
  type: "user.contact-removed";
};

/** A conversation as one of its members sees it. */
export type ConversationAnswer = {
  /** When it began. */
  createdAt: string;
  /** Who began it. */
  createdBy: string;
  /** What newcomers see of what was said before. */
  history: ConversationHistory;
  /** Which. */
  id: string;
  /** Its kind. */
  kind: ConversationKind;
  lastMessage?: LastMessage | null;
  /** How many are in it. */
  participantCount: number;
  /** The first 20 who are in it, by when they joined. */
  participants: string[];
  /** What it is called; direct ones have no title. */
  title?: string | null;
  /** How many messages of others the caller hasn't read. */
  unreadCount: number;
  /** When something happened in it last. */
  updatedAt: string;
};

/** A conversation that began. */
export type ConversationCreated = {
  /** Which. */
  conversationId: string;
  /** Who began it. */
  createdBy: string;
  /** What who joins later sees. */
  history: ConversationHistory;
  /** Whether it is for two. */
  kind: ConversationKind;
  /** Its title, if it has one. */
  title?: string | null;
};

/** A conversation began. */
export type ConversationCreatedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: ConversationCreated;
  type: "chat.conversation-created";
};

/** What a newcomer sees of what was said before. */
export type ConversationHistory = "since-joining" | "all";

/** What kind of conversation it is. */
export type ConversationKind = "direct" | "group";

/** A conversation's new title. */
export type ConversationRenamed = {
  /** Which. */
  conversationId: string;
  /** Who renamed it. */
  renamedBy: string;
  /** Its title; none if it was taken away. */
  title?: string | null;
};

/** A group was renamed. */
export type ConversationRenamedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: ConversationRenamed;
  type: "chat.conversation-renamed";
};

/**
 * A conversation's settings, as they are now. They are answered from the write side, which is why nothing of what
 * only views know (last message, unread count) is among them.
 */
export type ConversationSettings = {
  /** What newcomers see. */
  history: ConversationHistory;
  /** The conversation. */
  id: string;
  /** Its kind. */
  kind: ConversationKind;
  /** What it is called. */
  title?: string | null;
  /** When this was so. */
  updatedAt: string;
};

/** What a group is called: 1 to 200 characters on one line, not only white space. */
export type ConversationTitle = string;

/** What is to begin. */
export type CreateConversationBody = {
  /** What people who join later see of what was said before; `since-joining` unless said otherwise. */
  history?: ConversationHistory;
  /** Direct, between two, or a group. */
  kind: ConversationKind;
  /** Who is in it besides the caller, whom one may name or leave out. At most 500 in all. */
  participants: string[];
  title?: ConversationTitle | null;
};

/** Tells somebody something. */
export type CreateNotification = {
  /** In more words. */
  body: Body;
  /** What it is about, in a word. */
  kind: Kind;
  link?: Link | null;
  /** In a few words. */
  title: Title;
  /** Who is told. */
  userId: string;
};

/** Makes a user. The same `externalId` again is the same user: the answer names them and nothing is changed. */
export type CreateUser = {
  avatarUrl?: AvatarUrl | null;
  bio?: Bio | null;
  /** What they are called. */
  displayName: DisplayName;
  email?: EmailAddress | null;
  externalId?: ExternalId | null;
};

/** Has events sent to an address from now on. */
export type CreateWebhook = {
  description?: Description | null;
  /** Which events, as `chat.message-sent`; all of them if none is named. */
  events?: EventName[];
  /** Where to: an https address. */
  url: Target;
};

/** What is left of a deleted message. */
export type DeletedMessage = {
  /** When it was deleted. */
  deletedAt: string;
  /** The message. */
  id: string;
  /** Orders messages: a decimal number as a string. */
  position: string;
  /** Who had said it. */
  senderId: string;
};

export type Description = string;

export type DisplayName = string;

/** The new words. */
export type EditMessageBody = {
  /** The text. */
  content: MessageContent;
};

export type EmailAddress = string;

/** What the client said was understood and refused. */
export type ErrorFrame = {
  /** As a problem's `code`. */
  code: string;
  /** What is wrong, and what to do. */
  detail: string;
  type: "error";
};

/** Who issued a command. */
export type EventActor = {
  /** The user's id, or that of the application's key. */
  id?: string | null;
  /** `anonymous`, `system`, `user` or `service`. */
  kind: string;
};

export type EventName = "auth.email-changed" | "auth.password-changed" | "auth.password-reset-requested" | "auth.service-key-created" | "auth.service-key-revoked" | "auth.signing-key-added" | "auth.signing-key-retired" | "auth.user-logged-in" | "auth.user-logged-out" | "auth.user-registered" | "chat.conversation-created" | "chat.conversation-renamed" | "chat.message-deleted" | "chat.message-edited" | "chat.message-sent" | "chat.messages-read" | "chat.participant-added" | "chat.participant-removed" | "chat.participant-role-changed" | "notification.notification-created" | "notification.notification-preferences-updated" | "notification.notification-read" | "notification.notifications-read" | "user.profile-refused" | "user.user-contact-added" | "user.user-contact-removed" | "user.user-created" | "user.user-deleted" | "user.user-disabled" | "user.user-enabled" | "user.user-profile-updated" | "user.user-status-changed";

/** A page of a log. */
export type EventsPage = {
  /** What was found, the newest first. */
  items: LoggedEvent[];
  /** What to go on reading with; null where there is nothing more to read. */
  nextCursor?: string | null;
  /** The oldest position that was looked at, a decimal number; null if none was. */
  readTo?: string | null;
};

export type ExternalId = string;

/** A message that was found, as its page shows it. */
export type FoundMessage = MessageAnswer & {
  /** Where in `content` the words are: ascending, apart from each other. */
  highlights: Highlight[];
};

/** A handler of events in one of the logs that it follows. */
export type HandlerState = {
  /** Events between the two. Not all of them may be for it. */
  behind: number;
  /** For how many milliseconds the oldest of these has been waiting; null where there is none, or its time isn't known here. */
  behindMs?: number | null;
  /** Where and why it stands still, if it does. */
  error?: string | null;
  /** The service whose log it is. */
  follows: string;
  /** The process that holds its lease, where there can be several. */
  holder?: string | null;
  /** `view`, `reactor`, `relay`, `follower` for what keeps nothing; `webhook` or `push` for what sends events out. */
  kind: string;
  /** Its name; a webhook's is its receiver's. */
  name: string;
  /** The newest position there. */
  newest: string;
  /** The last position that it took in, as far as this process knows; a decimal number. */
  position: string;
  /** Where it runs: `here`, `elsewhere` (in another process) or `nowhere`. */
  runs: string;
  /** The log that it follows, or `SERVICE.public` for what another service makes public. */
  source: string;
  /**
   * `live`, `rebuilding`, `stuck` with the error and tried again by itself; of what sends events out also `parked`, which
   * somebody has to try again, and `paused`.
   */
  state: string;
};

/** A part of a text, counted in UTF-16 code units, as JavaScript, Java, Kotlin and Swift's `NSRange` count. */
export type Highlight = {
  /** Where it ends; the unit there is no longer part of it. */
  end: number;
  /** Where it begins. */
  start: number;
};

/** What a token says, if it holds; of any other, nothing but that it doesn't (RFC 7662 §2.2). */
export type Introspection = {
  /** Whether it holds. */
  active: boolean;
  /** For whom. */
  aud?: string | null;
  /** Until when. */
  exp?: number | null;
  /** Since when, in seconds since 1970. */
  iat?: number | null;
  /** Who issued it. */
  iss?: string | null;
  /** Its own id. */
  jti?: string | null;
  /** From when on. */
  nbf?: number | null;
  /** The user's roles. */
  roles?: string[] | null;
  /** The session. */
  sessionId?: string | null;
  /** The user. */
  sub?: string | null;
  /** `Bearer`. */
  tokenType?: string | null;
};

/** Signs a user in. An idempotency key is ignored: a repeat is another session. */
export type IssueTokens = {
  /** What to call the device in the list of sessions. */
  device?: string | null;
  /** Whom. */
  userId: string;
};

/** One public key, as RFC 7517 and RFC 8037 write it. */
export type Jwk = {
  /** `EdDSA`. */
  alg: string;
  /** `Ed25519`. */
  crv: string;
  /** Its id. */
  kid: string;
  /** `OKP`. */
  kty: string;
  /** `sig`. */
  use: string;
  /** The key, base64url. */
  x: string;
};

/** The public keys of an instance: what `/.well-known/jwks.json` answers. */
export type Jwks = {
  /** All that tokens may be signed with, the ones to come included. */
  keys: Jwk[];
};

export type Kind = string;

/** The levels for each kind of thing. */
export type KindLevels = {
  /** Being added to a group; it names them, so `mentions` is as good as `all`. */
  addedToGroup?: Level;
  /** Messages in direct conversations. */
  direct?: Level;
  /** Messages in groups. */
  group?: Level;
  /** Signing in with a new device; `mentions` is as good as `all`. */
  newSignIn?: Level;
};

/** A conversation's newest message. */
export type LastMessage = {
  /** What it says, as far as the caller has seen it edited. */
  content: string;
  /** When it was sent. */
  createdAt: string;
  /** The message. */
  id: string;
  /** Orders messages: a decimal number as a string. */
  position: string;
  /** Who said it. */
  senderId: string;
  /** What the content is. */
  type: MessageType;
};

/** A service's ledger, and what its commands came to. */
export type Ledger = {
  /** What commands came to, by name, since the process began. */
  commands: CommandTotals[];
  /** How many answers it keeps to commands with an idempotency key. */
  keys: number;
  /** When the oldest of them was given. */
  oldestAt?: string | null;
  /** The service. */
  service: string;
};

/** How much of something somebody wants to be told of. */
export type Level = "all" | "mentions" | "none";

export type Limit = number;

export type Link = string;

/** Somebody, as administrators see them. */
export type ListedUser = {
  /** Since when they are there. */
  createdAt: string;
  /** What they are called. */
  displayName: string;
  /** Where their mail goes. */
  email?: string | null;
  /** What the application that created them calls them. */
  externalId?: string | null;
  /** The user. */
  id: string;
  /** Whether their account stands. */
  state: AccountState;
};

/** What a live connection says. Only what has a cursor is said again after resuming. */
export type LiveFrame = OneOf<MessageSentFrame | MessageEditedFrame | MessageDeletedFrame | MessagesReadFrame | ConversationCreatedFrame | ConversationRenamedFrame | ParticipantAddedFrame | ParticipantRoleChangedFrame | ParticipantRemovedFrame | ProfileUpdatedFrame | StatusChangedFrame | ContactAddedFrame | ContactRemovedFrame | NotificationCreatedFrame | NotificationReadFrame | AllNotificationsReadFrame | PreferencesUpdatedFrame | TypingFrame | PresenceFrame | CaughtUpFrame | ClosedFrame>;

/** That the process is there. */
export type Liveness = {
  /** `live`. */
  status: string;
};

/** A log at one moment. */
export type LogState = {
  /** Another one after it was restored from a backup. */
  epoch: string;
  /** The position of the newest event, a decimal number. */
  newest: string;
};

/** An event of a log. */
export type LoggedEvent = {
  /** Who caused it. */
  actor: EventActor;
  /** When it was committed. */
  at: string;
  /** The kind of thing that it happened to. */
  category: string;
  /** The event that caused it, if one did. */
  causation?: string | null;
  /** Shared by all that one request set off. */
  correlation: string;
  /** What it says. Personal fields, which are sealed, and hashes of secrets read `•••`. */
  data: Record<string, unknown>;
  /** How many fields are hidden. */
  hidden: number;
  /** Unique. */
  id: string;
  /** Its place in the log, a decimal number. */
  position: string;
  /** The id of what other services hear of it, if they do: what it causes there names this one. */
  publicId: string;
  /** The version of its data. */
  schema: number;
  /** Which one. */
  stream: string;
  /** What happened. */
  type: string;
  /** How many events it had by then. */
  version: number;
};

/** Signs in. An idempotency key is ignored: a repeat is another session. */
export type LoginUser = {
  /** What to call the device in the list of sessions. */
  device?: string | null;
  /** The account's address. */
  email: string;
  /** Its password. */
  password: string;
};

/** Signs out. Somebody who is signed out already stays so. */
export type LogoutUser = {
  /** All sessions instead of this one. */
  everywhere?: boolean;
};

/** How far the caller has read. */
export type MarkMessagesAsReadBody = {
  /** The newest message read. */
  upTo: string;
};

/** A message as commands answer with it. */
export type MessageAnswer = {
  /** What is said. */
  content: string;
  /** Where it was said. */
  conversationId: string;
  /** When it was sent. */
  createdAt: string;
  /** When it was last put in other words, if it was. */
  editedAt?: string | null;
  /** The message. */
  id: string;
  /** Orders messages: a decimal number as a string. */
  position: string;
  /** What it replies to. */
  replyTo?: string | null;
  /** By whom. */
  senderId: string;
  /** What the content is. */
  type: MessageType;
};

/** What a message says: 1 to 4,000 characters (Unicode scalar values), no NUL, not only white space. */
export type MessageContent = string;

/** A message was deleted. */
export type MessageDeletedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: Tombstone;
  type: "chat.message-deleted";
};

/** A message was put in other words; what is left of it if it was deleted since. */
export type MessageEditedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: MessageTold;
  type: "chat.message-edited";
};

/** A message, or what is left of one. */
export type MessageItem = OneOf<DeletedMessage | MessageAnswer>;

/** Somebody said something; in a resumed feed, what is left of it if it was deleted since. */
export type MessageSentFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: MessageTold;
  type: "chat.message-sent";
};

/** A message, or what is left of it. */
export type MessageTold = OneOf<MessageAnswer | Tombstone>;

/** What a message's content is. */
export type MessageType = "text";

/** How far somebody has read. */
export type MessagesRead = {
  /** Where. */
  conversationId: string;
  /** Its position. */
  position: string;
  /** The last message that they read. */
  upTo: string;
  /** Who. */
  userId: string;
};

/** Somebody has read a conversation up to this message. */
export type MessagesReadFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: MessagesRead;
  type: "chat.messages-read";
};

/** There is no more to say. */
export type Nothing = Record<string, unknown>;

/** A notification. */
export type NotificationCreated = {
  /** Who caused it, if somebody did. */
  actorId?: string | null;
  /** The rest. */
  body: string;
  /** The conversation that it comes from, if it does. */
  conversationId?: string | null;
  /** Its id. */
  id: string;
  /** What it is about, such as `mention`. */
  kind: string;
  /** Where it leads to, if anywhere. */
  link?: string | null;
  /** The message that it tells of, if it does. */
  messageId?: string | null;
  /** Its first line. */
  title: string;
};

/** One is told something. */
export type NotificationCreatedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: NotificationCreated;
  type: "notification.created";
};

/** Names the notification. */
export type NotificationMade = {
  /** Its id. */
  id: string;
};

/** A notification that was read. */
export type NotificationRead = {
  /** Which. */
  id: string;
};

/** One has read a notification. */
export type NotificationReadFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: NotificationRead;
  type: "notification.read";
};

/** A service at one moment. Rates follow from two of them. */
export type Overview = {
  /** When this was so. */
  at: string;
  /** Whatever follows events for it, once for each log that it follows. */
  handlers: HandlerState[];
  /** Its log. */
  log: LogState;
  /** How many events and records were set aside. */
  parked: number;
  /** The process that answers; another one with each start. */
  process: string;
  /** The service. */
  service: string;
  /** What its log lies on: `sqlite` or `postgres`. */
  store: string;
};

/** One page of a list. */
export type Page_ConversationAnswer = {
  /** What is on it. */
  items: {
    /** When it began. */
    createdAt: string;
    /** Who began it. */
    createdBy: string;
    /** What newcomers see of what was said before. */
    history: ConversationHistory;
    /** Which. */
    id: string;
    /** Its kind. */
    kind: ConversationKind;
    lastMessage?: LastMessage | null;
    /** How many are in it. */
    participantCount: number;
    /** The first 20 who are in it, by when they joined. */
    participants: string[];
    /** What it is called; direct ones have no title. */
    title?: string | null;
    /** How many messages of others the caller hasn't read. */
    unreadCount: number;
    /** When something happened in it last. */
    updatedAt: string;
  }[];
  /** What to ask for the next page with, as `?cursor=`; null on the last one. */
  nextCursor?: string | null;
};

/** One page of a list. */
export type Page_FoundMessage = {
  /** What is on it. */
  items: (MessageAnswer & {
    /** Where in `content` the words are: ascending, apart from each other. */
    highlights: Highlight[];
  })[];
  /** What to ask for the next page with, as `?cursor=`; null on the last one. */
  nextCursor?: string | null;
};

/** One page of a list. */
export type Page_ListedUser = {
  /** What is on it. */
  items: {
    /** Since when they are there. */
    createdAt: string;
    /** What they are called. */
    displayName: string;
    /** Where their mail goes. */
    email?: string | null;
    /** What the application that created them calls them. */
    externalId?: string | null;
    /** The user. */
    id: string;
    /** Whether their account stands. */
    state: AccountState;
  }[];
  /** What to ask for the next page with, as `?cursor=`; null on the last one. */
  nextCursor?: string | null;
};

/** One page of a list. */
export type Page_MessageItem = {
  /** What is on it. */
  items: OneOf<DeletedMessage | MessageAnswer>[];
  /** What to ask for the next page with, as `?cursor=`; null on the last one. */
  nextCursor?: string | null;
};

/** One page of a list. */
export type Page_ParkedEvent = {
  /** What is on it. */
  items: {
    /** Its number in its service's store. */
    id: number;
    /** What it is called. */
    name: string;
    /** Its place there, a decimal number. */
    position: string;
    /** The reactor that couldn't handle it; null for a record that is no event. */
    reactor?: string | null;
    /** Why it was set aside. */
    reason: string;
    /** Whether it is about to be tried again. */
    retry: boolean;
    /** Where it came from: a log, or a topic and partition. */
    source: string;
    /** The stream whose later events wait behind it. */
    stream?: string | null;
  }[];
  /** What to ask for the next page with, as `?cursor=`; null on the last one. */
  nextCursor?: string | null;
};

/** One page of a list. */
export type Page_Participant = {
  /** What is on it. */
  items: {
    /** What they are called; empty while chat hasn't heard of them. */
    displayName: string;
    /** When they joined. */
    joinedAt: string;
    /** The position of the newest message they have read, as a decimal string. */
    readPosition?: string | null;
    /** What they may do. */
    role: ParticipantRole;
    /** Who. */
    userId: string;
  }[];
  /** What to ask for the next page with, as `?cursor=`; null on the last one. */
  nextCursor?: string | null;
};

/** One page of a list. */
export type Page_ShownNotification = {
  /** What is on it. */
  items: {
    /** Whose doing it is. */
    actorId?: string | null;
    /** In more words. */
    body: string;
    /** The conversation that it comes from. */
    conversationId?: string | null;
    /** When they were told. */
    createdAt: string;
    /** Its id. */
    id: string;
    /** What it is about: `message`, `mention`, `added-to-group`, `new-sign-in`, or what an application calls it. */
    kind: string;
    /** Where it leads. */
    link?: string | null;
    /** The message that it comes from. */
    messageId?: string | null;
    /** Whether it was read. */
    read: boolean;
    /** When it was read. */
    readAt?: string | null;
    /** In a few words. */
    title: string;
  }[];
  /** What to ask for the next page with, as `?cursor=`; null on the last one. */
  nextCursor?: string | null;
};

/** One page of a list. */
export type Page_ShownPushSubscription = {
  /** What is on it. */
  items: {
    /** Since when. */
    createdAt: string;
    /** Whether it was subscribed in the session that asks. */
    current: boolean;
    /** Its id. */
    id: string;
    /** Its push service. */
    service: string;
  }[];
  /** What to ask for the next page with, as `?cursor=`; null on the last one. */
  nextCursor?: string | null;
};

/** One page of a list. */
export type Page_ShownWebhook = {
  /** What is on it. */
  items: {
    /** Since when it exists. */
    createdAt: string;
    /** Where it has come to, for `replay`. */
    cursor: string;
    /** What it is for. */
    description: string;
    /** Whether events are to be sent. */
    enabled: boolean;
    /** Which events; all of them if none is named. */
    events: string[];
    /** When that was tried first. */
    failingSince?: string | null;
    /** Its id. */
    id: string;
    /** How many events, wanted or not, it has before it. */
    lag: number;
    /** When it is tried again. */
    nextTryAt?: string | null;
    /** What is wrong, if something is. */
    problem?: string | null;
    /** Whether they are. */
    state: State;
    /** How often the event that it stands at was tried without success. */
    tries: number;
    /** Where to. */
    url: string;
  }[];
  /** What to ask for the next page with, as `?cursor=`; null on the last one. */
  nextCursor?: string | null;
};

/** One page of a list. */
export type Page_UserCard = {
  /** What is on it. */
  items: {
    /** Where their picture is. */
    avatarUrl?: string | null;
    /** Since when they are there. */
    createdAt: string;
    /** What they are called. */
    displayName: string;
    /** The user. */
    id: string;
    /** Whether their account stands. */
    state: AccountState;
    /** What they say of their availability. */
    status: Availability;
    /** In their own words. */
    statusText?: string | null;
  }[];
  /** What to ask for the next page with, as `?cursor=`; null on the last one. */
  nextCursor?: string | null;
};

/** Something that was set aside. */
export type ParkedEvent = {
  /** Its number in its service's store. */
  id: number;
  /** What it is called. */
  name: string;
  /** Its place there, a decimal number. */
  position: string;
  /** The reactor that couldn't handle it; null for a record that is no event. */
  reactor?: string | null;
  /** Why it was set aside. */
  reason: string;
  /** Whether it is about to be tried again. */
  retry: boolean;
  /** Where it came from: a log, or a topic and partition. */
  source: string;
  /** The stream whose later events wait behind it. */
  stream?: string | null;
};

/** Somebody in a conversation. */
export type Participant = {
  /** What they are called; empty while chat hasn't heard of them. */
  displayName: string;
  /** When they joined. */
  joinedAt: string;
  /** The position of the newest message they have read, as a decimal string. */
  readPosition?: string | null;
  /** What they may do. */
  role: ParticipantRole;
  /** Who. */
  userId: string;
};

/** Somebody who joined, with what they need to show the conversation. */
export type ParticipantAdded = {
  /** Who added them. */
  addedBy: string;
  /** Where. */
  conversationId: string;
  /** What they see of what was said before. */
  history: ConversationHistory;
  /** Whether the conversation is for two. */
  kind: ConversationKind;
  /** What they may do. */
  role: ParticipantRole;
  /** The conversation's title, if it has one. */
  title?: string | null;
  /** Who. */
  userId: string;
};

/** Somebody is in a conversation from now on. */
export type ParticipantAddedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: ParticipantAdded;
  type: "chat.participant-added";
};

/** Somebody who left, or was removed. */
export type ParticipantRemoved = {
  /** Where. */
  conversationId: string;
  /** By whom; themselves, if they left. */
  removedBy: string;
  /** Who. */
  userId: string;
};

/** Somebody is in a conversation no more. If it is oneself, it is the last that one hears of it. */
export type ParticipantRemovedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: ParticipantRemoved;
  type: "chat.participant-removed";
};

/** What somebody may do in a conversation. */
export type ParticipantRole = "member" | "admin";

/** What somebody may do from now on. */
export type ParticipantRoleChanged = {
  /** Who says so. */
  changedBy: string;
  /** Where. */
  conversationId: string;
  /** What they may do. */
  role: ParticipantRole;
  /** Who. */
  userId: string;
};

/** Somebody may do more, or less, in a conversation. */
export type ParticipantRoleChangedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: ParticipantRoleChanged;
  type: "chat.participant-role-changed";
};

/** The answer to a ping. */
export type PongFrame = {
  type: "pong";
};

/** What somebody wants to be told of, and when not. */
export type Preferences = {
  /** Levels of single conversations, by their ids, where they differ. */
  conversations?: Record<string, Level>;
  /** The levels for each kind of thing. */
  kinds?: KindLevels;
  /** Until when they aren't told of anything in conversations. */
  muteUntil?: string | null;
  quietHours?: QuietHours | null;
};

/** One wants to be told of other things than before. */
export type PreferencesUpdatedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: Nothing;
  type: "notification.preferences-updated";
};

/** How some people are. */
export type PresenceAnswer = {
  /** Those of whom the caller may know it, in the order asked for. */
  items: PresenceItem[];
};

/** How somebody is. */
export type PresenceFrame = {
  /** When it happened. */
  at: string;
  data: PresenceItem;
  type: "presence";
};

/** How somebody is. */
export type PresenceItem = {
  /** When they were last connected, if that is known and they aren't now. */
  lastSeenAt?: string | null;
  /** `online`, `away` or `busy` while they are connected; `offline` otherwise, or if they chose to seem so. */
  status: Availability;
  /** Who. */
  userId: string;
};

/** Why a request wasn't carried out (RFC 9457). */
export type Problem = {
  /** Stable, for programs to act on. */
  code: string;
  /** What is wrong here, and what to do. */
  detail: string;
  /** The invalid fields. */
  errors?: {
    /** What is wrong with it. */
    detail: string;
    /** JSON pointer into the body, or the name of the parameter or header. */
    pointer: string;
  }[];
  /** The request's id, to be found in the log. */
  requestId: string;
  /** The HTTP status. */
  status: number;
  /** The kind of problem in a few words. */
  title: string;
  /** What explains this kind of problem. */
  type: string;
};

/** Who somebody is to others. */
export type Profile = {
  /** Where their picture is. */
  avatarUrl?: string | null;
  /** What they say of themselves. */
  bio?: string | null;
  /** What they are called. */
  displayName: string;
  /** Where their mail goes; shown to themselves and administrators only. */
  email?: string | null;
  /** What the application that created them calls them; shown to themselves, administrators and applications only. */
  externalId?: string | null;
  /** The user. */
  id: string;
  /** What they say of their availability. */
  status: Availability;
  /** In their own words. */
  statusText?: string | null;
};

/** Whether there is a profile. */
export type ProfileState = "pending" | "ready" | "refused";

/** A profile as it is from now on. */
export type ProfileUpdated = {
  /** Where their picture is, if they have one. */
  avatarUrl?: string | null;
  /** What they say of themselves, if anything. */
  bio?: string | null;
  /** What they are called. */
  displayName: string;
  /** Whose. */
  userId: string;
};

/** Somebody's profile changed. */
export type ProfileUpdatedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: ProfileUpdated;
  type: "user.profile-updated";
};

/** The key by which push services know this instance. */
export type PushKey = {
  /** For `applicationServerKey`: a public key on P-256, uncompressed, in base64url. */
  publicKey: string;
};

/** What messages are encrypted with. */
export type PushKeys = {
  /** Its authentication secret of 16 bytes, in base64url. */
  auth: string;
  /** The browser's public key on P-256, uncompressed, in base64url. */
  p256dh: string;
};

/** Names a browser that is pushed to. */
export type PushSubscribed = {
  /** The same each time for the same browser. */
  id: string;
};

/** A time of every day during which somebody isn't told of messages. */
export type QuietHours = {
  /** When it begins, by the clock of `time_zone`: `22:00`. */
  from: string;
  /** The name of a zone in the IANA time zone database: `Europe/Berlin`. */
  timeZone: string;
  /** When it ends; earlier than `from` if midnight lies between. */
  to: string;
};

/** Whether the instance can do its work. */
export type Readiness = {
  /** What is wrong with Kafka. A process that is ready goes on without it; what it hears of others comes later. */
  kafka?: string[];
  /** What is missing. */
  missing: string[];
  /** Views and reactors that stand still. The others go on; what is missing is in the log and in `parlor views status`. */
  standing: Standing[];
  /** `ready`, or `unready` as long as something is missing. */
  status: string;
};

/** How far a view's rebuild is. */
export type RebuildProgress = {
  /** When it began. */
  beganAt: string;
  /** Events taken in. */
  done: number;
  /** When it ended. */
  endedAt?: string | null;
  /** Why it failed. Begun again it goes on where it was. */
  error?: string | null;
  /** The service that keeps the view. */
  service: string;
  /** `running`, `done` (the rebuilt view is live) or `failed`. */
  state: string;
  /** Events that there are. */
  total: number;
  /** The view. */
  view: string;
};

/**
 * Asks for the next pair of tokens. An idempotency key is ignored: repeating it within ten seconds gives the same
 * refresh token again.
 */
export type RefreshToken = {
  /** The refresh token of the pair before. */
  refreshToken: string;
};

/** Makes an account. */
export type RegisterUser = {
  /** What others see. */
  displayName: string;
  /** Where mails reach you; unique. */
  email: string;
  /** 8 to 128 characters; none of the commonest, nor your own name or address. */
  password: string;
};

/** What is to change. */
export type RenameConversationBody = {
  title?: ConversationTitle | null;
};

/** Where a webhook is to begin. */
export type ReplayWebhookBody = {
  /**
   * `earliest`, or a cursor: that of the webhook, or the `Parlor-Position` of a delivery or of any answer of the API.
   * What it names is behind it; in a log that it doesn't name, nothing is sent again.
   */
  from: string;
};

/**
 * Asks for a link to choose a new password. The answer is the same whether or not there is such an account; the mail
 * tells. An older link no longer works.
 */
export type RequestPasswordReset = {
  /** The account's address. */
  email: string;
};

/** Chooses a new password. All sessions end. */
export type ResetPassword = {
  /** 8 to 128 characters; none of the commonest, nor your own name or address. */
  newPassword: string;
  /** What follows `#token=` in the link. */
  token: string;
};

/** What is said. */
export type SendMessageBody = {
  /** The text. */
  content: MessageContent;
  /** The message's id, if the client picks it (a UUID v7): sent again, it is the same message. */
  id?: string | null;
  /** The message that this one replies to, in the same conversation. */
  replyTo?: string | null;
  /** What it is; `text` unless said otherwise. */
  type?: MessageType;
};

/** A live session. */
export type SessionInfo = {
  /** The address from which it began. */
  address?: string | null;
  /** Whether it is the one that asks. */
  current: boolean;
  /** What the client called the device. */
  device?: string | null;
  /** When it ends by itself. */
  expiresAt: string;
  /** Its id. */
  id: string;
  /** When it was last refreshed. */
  lastUsedAt: string;
  /** When it began. */
  startedAt: string;
};

/** A notification as it is shown. */
export type ShownNotification = {
  /** Whose doing it is. */
  actorId?: string | null;
  /** In more words. */
  body: string;
  /** The conversation that it comes from. */
  conversationId?: string | null;
  /** When they were told. */
  createdAt: string;
  /** Its id. */
  id: string;
  /** What it is about: `message`, `mention`, `added-to-group`, `new-sign-in`, or what an application calls it. */
  kind: string;
  /** Where it leads. */
  link?: string | null;
  /** The message that it comes from. */
  messageId?: string | null;
  /** Whether it was read. */
  read: boolean;
  /** When it was read. */
  readAt?: string | null;
  /** In a few words. */
  title: string;
};

/** A browser as it is shown to its owner. */
export type ShownPushSubscription = {
  /** Since when. */
  createdAt: string;
  /** Whether it was subscribed in the session that asks. */
  current: boolean;
  /** Its id. */
  id: string;
  /** Its push service. */
  service: string;
};

/** A webhook as it is shown: without its secret. */
export type ShownWebhook = {
  /** Since when it exists. */
  createdAt: string;
  /** Where it has come to, for `replay`. */
  cursor: string;
  /** What it is for. */
  description: string;
  /** Whether events are to be sent. */
  enabled: boolean;
  /** Which events; all of them if none is named. */
  events: string[];
  /** When that was tried first. */
  failingSince?: string | null;
  /** Its id. */
  id: string;
  /** How many events, wanted or not, it has before it. */
  lag: number;
  /** When it is tried again. */
  nextTryAt?: string | null;
  /** What is wrong, if something is. */
  problem?: string | null;
  /** Whether they are. */
  state: State;
  /** How often the event that it stands at was tried without success. */
  tries: number;
  /** Where to. */
  url: string;
};

/** A pair of tokens. */
export type SignedIn = {
  /** Goes into the `Authorization` header of every request. */
  accessToken: string;
  /** Seconds that the access token lives. */
  expiresIn: number;
  profile?: ProfileState | null;
  /** Gets the next pair; each is good once. */
  refreshToken: string;
  /** The session. */
  sessionId: string;
  /** `Bearer`. */
  tokenType: string;
  /** The user. */
  userId: string;
};

/** What the server says on a WebSocket: live frames, and answers to the client's. */
export type SocketFrame = OneOf<MessageSentFrame | MessageEditedFrame | MessageDeletedFrame | MessagesReadFrame | ConversationCreatedFrame | ConversationRenamedFrame | ParticipantAddedFrame | ParticipantRoleChangedFrame | ParticipantRemovedFrame | ProfileUpdatedFrame | StatusChangedFrame | ContactAddedFrame | ContactRemovedFrame | NotificationCreatedFrame | NotificationReadFrame | AllNotificationsReadFrame | PreferencesUpdatedFrame | TypingFrame | PresenceFrame | CaughtUpFrame | ClosedFrame | PongFrame | ErrorFrame>;

/** Somebody who types. */
export type SomebodyTyping = {
  /** Where. */
  conversationId: string;
  /** Who. */
  userId: string;
};

/** An event handler that doesn't get past an event. */
export type Standing = {
  /** Its name. */
  handler: string;
  /** The log's newest position. */
  head: string;
  /** The last position that it took in. */
  position: string;
  /** Its service. */
  service: string;
  /** The log that it follows. */
  source: string;
};

/** Whether anything is sent to a webhook. */
export type State = "active" | "parked" | "gone" | "disabled";

/** What somebody says of their availability. */
export type StatusChanged = {
  /** How they are. */
  status: Availability;
  /** In their own words, if they said more. */
  text?: string | null;
  /** Who. */
  userId: string;
};

/** Somebody said something of their availability. */
export type StatusChangedFrame = {
  /** When it happened. */
  at: string;
  /** Resumes right after it. */
  cursor: string;
  data: StatusChanged;
  type: "user.status-changed";
};

export type StatusText = string;

/** A browser, as its `PushSubscription.toJSON()` tells of it. */
export type SubscribeToPush = {
  /** What its push service calls it. */
  endpoint: Target;
  /** Taken since browsers send it; when a subscription has ended, its push service says so. */
  expirationTime?: number | null;
  /** What messages are encrypted with. */
  keys: PushKeys;
};

export type Target = string;

/** A ticket for one live connection. */
export type TicketAnswer = {
  /** For how many seconds. */
  expiresIn: number;
  /** To be given as `?ticket=`, once. */
  ticket: string;
};

export type Title = string;

/** What is left of a deleted message. */
export type Tombstone = {
  /** Where it was said. */
  conversationId: string;
  /** When it was deleted. */
  deletedAt: string;
  /** The message. */
  id: string;
  /** Orders messages: a decimal number as a string. */
  position: string;
  /** Who had said it. */
  senderId: string;
};

/** Somebody is typing; it isn't so any more when it isn't said again for some seconds. */
export type TypingFrame = {
  /** When it happened. */
  at: string;
  data: SomebodyTyping;
  type: "typing";
};

/** How many there are. */
export type UnreadCount = {
  /** How many haven't been read. */
  count: number;
};

/** One conversation's unread messages. */
export type UnreadMessages = {
  /** How many. */
  count: number;
};

/** All conversations' unread messages. */
export type UnreadMessagesByConversation = {
  /** How many in each conversation that has any. */
  conversations: Record<string, number>;
  /** How many in all. */
  total: number;
};

/** What is left out stays, `null` takes away; a name can't be taken away. Answers with the whole profile. */
export type UpdateUserProfile = {
  avatarUrl?: AvatarUrl | null;
  bio?: Bio | null;
  /** What they are called. */
  displayName?: DisplayName;
};

/** What is to change; what is left out stays. */
export type UpdateWebhookBody = {
  description?: Description | null;
  /** Whether events are sent. What happens while they aren't is sent afterwards. */
  enabled?: boolean | null;
  /** Which events; all of them if the list is empty. */
  events?: EventName[] | null;
  url?: Target | null;
};

/** One's own account. */
export type UserAuthInfo = {
  /** When the account was made. */
  createdAt: string;
  /** Their address; null for users that an application signs in. */
  email?: string | null;
  /** Whether the address was shown to be theirs. */
  emailVerified: boolean;
  /** When the password was chosen; null where there is none. */
  passwordChangedAt?: string | null;
  /**
   * Whether there is a profile: `pending` from registration on for moments, or while the user service is down; `refused`
   * if none can be made, for good. Such an account can only be deleted (`DELETE /v1/users/me`), which frees its address.
   */
  profile: ProfileState;
  /** Why it was refused: the code of the refusal; null otherwise. */
  profileRefusal?: string | null;
  /** What they may do beyond what everyone may. */
  roles: string[];
  /** Live sessions, newest first. */
  sessions: SessionInfo[];
  /** The user's id. */
  userId: string;
};

/** Somebody, as lists show them. */
export type UserCard = {
  /** Where their picture is. */
  avatarUrl?: string | null;
  /** Since when they are there. */
  createdAt: string;
  /** What they are called. */
  displayName: string;
  /** The user. */
  id: string;
  /** Whether their account stands. */
  state: AccountState;
  /** What they say of their availability. */
  status: Availability;
  /** In their own words. */
  statusText?: string | null;
};

/** Names the user. */
export type UserMade = {
  /** Their id. */
  id: string;
};

/** The new account. */
export type UserRegistered = {
  /** The user's id, in every service. */
  userId: string;
};

/** Asks about a token. */
export type ValidateToken = {
  /** An access token. */
  token: string;
};

/** Shows an address to be one's own. */
export type VerifyEmail = {
  /** What follows `#token=` in the link. */
  token: string;
};

/** What one request set off in one service. */
export type Way = {
  /** The commands, the oldest first. A process remembers some thousands of those that it carried out itself. */
  commands: WayCommand[];
  /** Whether the log was read to its end from where it can have begun; there may be more otherwise. */
  complete: boolean;
  /** What all of it shares; the id that was asked for where nothing was found. */
  correlation: string;
  /** What happened, the oldest first. */
  events: LoggedEvent[];
  /** The service. */
  service: string;
};

/** A command, as the process that carried it out remembers it. */
export type WayCommand = {
  /** Who issued it. */
  actor: EventActor;
  /** When it came. */
  at: string;
  /** The event that set it off, if one did. */
  causation?: string | null;
  /** How it ended: `done`, `replayed`, `refused` or `failed`. */
  end: string;
  /** Its name. */
  name: string;
  /** How long it took, in milliseconds. */
  tookMs: number;
};

/** A webhook that was made, with its secret, which isn't shown again. */
export type WebhookMade = {
  /** Its id. */
  id: string;
  /** What signatures are made with: `whsec_` and base64. */
  secret: string;
};

/** Every command and query by its name: what it takes and what it answers. */
export interface Operations {
  /** The public keys with which access tokens can be checked (RFC 7517). */
  jwks: {
    answer: Jwks;
  };
  /** Is the process there? */
  live: {
    answer: Liveness;
  };
  /** Can it do its work? */
  ready: {
    answer: Readiness;
  };
  /** Somebody's account, with its sessions, for administrators. */
  admin_account: {
    path: {
      /** Whose. */
      id: string;
    };
    answer: UserAuthInfo;
  };
  /** End one of somebody's sessions, as an administrator. */
  admin_end_session: {
    path: {
      /** Whose. */
      id: string;
      /** Which. */
      session: string;
    };
    answer: undefined;
  };
  /** Everybody, the newest first, for administrators. */
  admin_users: {
    query?: {
      /** Words of the display name, or parts of words; or an e-mail address. */
      search?: string;
      /** How many on a page. */
      limit?: Limit;
      /** `nextCursor` of the page before. */
      cursor?: string;
    };
    answer: Page_ListedUser;
  };
  /** What a service's log holds, the newest first. Personal fields stay sealed and read `•••`. */
  admin_events: {
    path: {
      /** Whose log. */
      service: string;
    };
    query?: {
      /** One stream, as `CATEGORY/ID`. */
      stream?: string;
      /** What happened: the events' name, or its beginning with a `*` after it. */
      type?: string;
      /** Not before this time (RFC 3339). */
      from?: string;
      /** Not after this time. */
      to?: string;
      /** What one request set off. */
      correlation?: string;
      /** How many on a page. */
      limit?: Limit;
      /** `nextCursor` of the page before. */
      cursor?: string;
    };
    answer: EventsPage;
  };
  /** How many answers the ledger keeps, and how often commands were answered from it. */
  admin_ledger: {
    path: {
      /** Whose. */
      service: string;
    };
    answer: Ledger;
  };
  /** What a service's log holds, and how far those who follow events for it have come. */
  admin_overview: {
    path: {
      /** `auth`, `user`, `chat` or `notification`. */
      service: string;
    };
    answer: Overview;
  };
  /** What was set aside because it couldn't be handled, in the order in which it was. */
  admin_parked: {
    path: {
      /** The service that keeps it. */
      service: string;
    };
    query?: {
      /** How many on a page. */
      limit?: Limit;
      /** `nextCursor` of the page before. */
      cursor?: string;
    };
    answer: Page_ParkedEvent;
  };
  /** Give something that was set aside up for good; what waited behind it is tried then. */
  admin_drop_parked: {
    path: {
      /** The service that keeps it. */
      service: string;
      /** Its number. */
      id: number;
    };
    answer: undefined;
  };
  /** Try something that was set aside again, with all that waits behind it; repeating this changes nothing. */
  admin_retry_parked: {
    path: {
      /** The service that keeps it. */
      service: string;
      /** Its number. */
      id: number;
    };
    answer: undefined;
  };
  /** How far a view's last rebuild is, since the process began. */
  admin_rebuild_progress: {
    path: {
      /** The service that keeps it. */
      service: string;
      /** Its name. */
      view: string;
    };
    answer: RebuildProgress;
  };
  /** Make a view anew beside the live one, from all events; queries go on meanwhile. */
  admin_rebuild_view: {
    path: {
      /** The service that keeps it. */
      service: string;
      /** Its name. */
      view: string;
    };
    answer: RebuildProgress;
  };
  /** The way of one command through a service: who issued it and when, and what came of it. */
  admin_way: {
    path: {
      /** Whose log. */
      service: string;
      /** A correlation, or an event's id. */
      id: string;
    };
    query?: {
      /** When it was about (RFC 3339): where to look, if the id doesn't say. */
      at?: string;
    };
    answer: Way;
  };
  /** Change one's address. */
  change_email: {
    body: ChangeEmail;
    answer: undefined;
  };
  /** Ask whether an access token holds, and whose it is (RFC 7662). */
  introspect: {
    body: ValidateToken;
    answer: Introspection;
  };
  /** Sign in with a password. */
  login: {
    body: LoginUser;
    answer: SignedIn;
  };
  /** Sign out. */
  logout: {
    body: LogoutUser;
    answer: undefined;
  };
  /** One's own account, with its sessions. */
  me: {
    answer: UserAuthInfo;
  };
  /** Choose a new password while signed in. */
  change_password: {
    body: ChangePassword;
    answer: undefined;
  };
  /** Ask for a link to choose a new password. */
  request_password_reset: {
    body: RequestPasswordReset;
    answer: undefined;
  };
  /** Choose a new password with the link from the mail. */
  confirm_password_reset: {
    body: ResetPassword;
    answer: undefined;
  };
  /** Get the next pair of tokens. */
  refresh: {
    body: RefreshToken;
    answer: SignedIn;
  };
  /** Make an account. */
  register: {
    body: RegisterUser;
    answer: UserRegistered | undefined;
  };
  /** End one of one's own sessions. */
  end_session: {
    path: {
      /** The session. */
      id: string;
    };
    answer: undefined;
  };
  /** Sign in a user of an application that has its own accounts (role `service`). */
  issue_tokens: {
    body: IssueTokens;
    answer: SignedIn;
  };
  /** Show an address to be one's own, with the link from the mail. */
  verify_email: {
    body: VerifyEmail;
    answer: undefined;
  };
  /** The caller's conversations */
  get_conversations: {
    query?: {
      /** How many at most. */
      limit?: Limit;
      /** Where the page before ended. */
      cursor?: string;
    };
    answer: Page_ConversationAnswer;
  };
  /** Begins a conversation */
  create_conversation: {
    body: CreateConversationBody;
    answer: ConversationAnswer;
  };
  /** One conversation */
  get_conversation: {
    path: {
      /** The conversation */
      id: string;
    };
    answer: ConversationAnswer;
  };
  /** Renames a group */
  rename_conversation: {
    path: {
      /** The conversation */
      id: string;
    };
    body: RenameConversationBody;
    answer: ConversationSettings;
  };
  /** What was said in a conversation */
  get_conversation_messages: {
    path: {
      /** The conversation */
      id: string;
    };
    query?: {
      /** How many at most. */
      limit?: Limit;
      /** Where the page before ended. */
      cursor?: string;
      /** How many of the newest to leave out. */
      offset?: number;
      /** Those sent before this message. */
      before?: string;
      /** Those sent after this message; the page holds the first of them, newest first. */
      after?: string;
      /** This message and those next to it on both sides. */
      around?: string;
    };
    answer: Page_MessageItem;
  };
  /** Sends a message */
  send_message: {
    path: {
      /** The conversation */
      id: string;
    };
    body: SendMessageBody;
    answer: MessageAnswer;
  };
  /** Edits a message */
  edit_message: {
    path: {
      /** The conversation */
      id: string;
      /** The message */
      messageId: string;
    };
    body: EditMessageBody;
    answer: MessageAnswer;
  };
  /** Deletes a message */
  delete_message: {
    path: {
      /** The conversation */
      id: string;
      /** The message */
      messageId: string;
    };
    answer: undefined;
  };
  /** Who is in a conversation */
  get_participants: {
    path: {
      /** The conversation */
      id: string;
    };
    query?: {
      /** How many at most. */
      limit?: Limit;
      /** Where the page before ended. */
      cursor?: string;
    };
    answer: Page_Participant;
  };
  /** Adds a participant, or changes a role */
  add_participant: {
    path: {
      /** The conversation */
      id: string;
      /** Who is to be in it */
      userId: string;
    };
    body: AddParticipantBody;
    answer: undefined;
  };
  /** Removes a participant, or leaves */
  remove_participant: {
    path: {
      /** The conversation */
      id: string;
      /** Who is to be in it no more */
      userId: string;
    };
    answer: undefined;
  };
  /** Marks messages as read */
  mark_messages_as_read: {
    path: {
      /** The conversation */
      id: string;
    };
    body: MarkMessagesAsReadBody;
    answer: undefined;
  };
  /** Says that the caller is typing */
  tell_typing: {
    path: {
      /** The conversation */
      id: string;
    };
    answer: undefined;
  };
  /** Unread messages of a conversation */
  get_unread_messages_count: {
    path: {
      /** The conversation */
      id: string;
    };
    answer: UnreadMessages;
  };
  /** Searches messages */
  search_messages: {
    query: {
      /**
       * Words or parts of words, all of which a message must have; case and accents don't matter. At most 16 words and 200
       * characters count.
       */
      q: string;
      /** Only in this conversation. */
      conversationId?: string;
      /** Only by this sender. */
      senderId?: string;
      /** How many at most. */
      limit?: Limit;
      /** Where the page before ended. */
      cursor?: string;
    };
    answer: Page_FoundMessage;
  };
  /** What one was told, newest first. */
  get_user_notifications: {
    query?: {
      /** `true` for what hasn't been read only. */
      unread?: boolean;
      /** How many on a page. */
      limit?: Limit;
      /** `nextCursor` of the page before. */
      cursor?: string;
    };
    answer: Page_ShownNotification;
  };
  /** Tells somebody something, for another application or by hand. */
  create_notification: {
    body: CreateNotification;
    answer: NotificationMade;
  };
  /** What one wants to be told of, and when not. */
  get_notification_preferences: {
    answer: Preferences;
  };
  /** Says what one wants to be told of, and when not. */
  update_notification_preferences: {
    body: Preferences;
    answer: Preferences;
  };
  /** The key for `PushManager.subscribe`. */
  get_push_key: {
    answer: PushKey;
  };
  /** The browsers that one's notifications are pushed to, oldest first. */
  get_push_subscriptions: {
    answer: Page_ShownPushSubscription;
  };
  /** Has one's notifications pushed to a browser (Web Push). */
  subscribe_to_push: {
    body: SubscribeToPush;
    answer: PushSubscribed;
  };
  /** Has nothing more pushed to a browser. */
  unsubscribe_from_push: {
    path: {
      /** The browser, as subscribing named it. */
      id: string;
    };
    answer: undefined;
  };
  /** Marks all of one's notifications as read. */
  mark_all_notifications_as_read: {
    answer: undefined;
  };
  /** How many notifications one hasn't read. */
  get_unread_notifications_count: {
    answer: UnreadCount;
  };
  /** Marks one of one's notifications as read. */
  mark_notification_as_read: {
    path: {
      /** The notification. */
      id: string;
    };
    answer: undefined;
  };
  /** How some people are */
  get_presence: {
    query: {
      /** Their ids, separated by commas; 100 at most. */
      users: string;
    };
    answer: PresenceAnswer;
  };
  /** Live events */
  stream: {
    query?: {
      /** Resumes after the event that had this cursor; `Last-Event-ID` goes before it. */
      cursor?: string;
      /** A ticket from `POST /v1/stream/ticket`, in place of the `Authorization` header. */
      ticket?: string;
    };
    answer: undefined;
  };
  /** A ticket for a live connection */
  issue_ticket: {
    answer: TicketAnswer;
  };
  /** Unread messages of all conversations */
  get_unread_messages_counts: {
    answer: UnreadMessagesByConversation;
  };
  /** Finds users by display name or by e-mail address. */
  find_users: {
    query?: {
      /** Words of the display name, or parts of words. */
      search?: string;
      /** An e-mail address, instead of a search. */
      email?: string;
      /** How many on a page. */
      limit?: Limit;
      /** `nextCursor` of the page before. */
      cursor?: string;
    };
    answer: Page_UserCard;
  };
  /** Makes a user for another application, or by hand. */
  create_user: {
    body: CreateUser;
    answer: UserMade;
  };
  /** Ends one's own account for good. Sessions end; name and messages stay. */
  delete_user: {
    answer: undefined;
  };
  /** One's contacts, by name. */
  get_user_contacts: {
    query?: {
      /** How many on a page. */
      limit?: Limit;
      /** `nextCursor` of the page before. */
      cursor?: string;
    };
    answer: Page_UserCard;
  };
  /** Puts somebody on one's list. They may be on it already. */
  add_user_contact: {
    path: {
      /** Who. */
      userId: string;
    };
    answer: undefined;
  };
  /** Takes somebody off one's list. They needn't be on it. */
  remove_user_contact: {
    path: {
      /** Who. */
      userId: string;
    };
    answer: undefined;
  };
  /** One's own profile. */
  get_own_profile: {
    answer: Profile;
  };
  /** Changes one's own profile. */
  update_user_profile: {
    body: UpdateUserProfile;
    answer: Profile;
  };
  /** Says whether one is there. */
  change_user_status: {
    body: ChangeUserStatus;
    answer: undefined;
  };
  /** Somebody, in short. */
  get_user_by_id: {
    path: {
      /** The user. */
      id: string;
    };
    answer: UserCard;
  };
  /** Shuts somebody out: their sessions end, and they can't sign in. */
  disable_user: {
    path: {
      /** Whom. */
      id: string;
    };
    answer: undefined;
  };
  /** Lets somebody in again. */
  enable_user: {
    path: {
      /** Whom. */
      id: string;
    };
    answer: undefined;
  };
  /** Somebody's profile. */
  get_user_profile: {
    path: {
      /** The user. */
      id: string;
    };
    answer: Profile;
  };
  /** What is sent where, oldest first. */
  get_webhooks: {
    query?: {
      /** How many on a page. */
      limit?: Limit;
      /** `nextCursor` of the page before. */
      cursor?: string;
    };
    answer: Page_ShownWebhook;
  };
  /** Has public events sent to an address. */
  create_webhook: {
    body: CreateWebhook;
    answer: WebhookMade;
  };
  /** One webhook, and how it fares. */
  get_webhook: {
    path: {
      /** The webhook. */
      id: string;
    };
    answer: ShownWebhook;
  };
  /** Changes a webhook. */
  update_webhook: {
    path: {
      /** The webhook. */
      id: string;
    };
    body: UpdateWebhookBody;
    answer: ShownWebhook;
  };
  /** Deletes a webhook: nothing is sent to it any more. */
  delete_webhook: {
    path: {
      /** The webhook. */
      id: string;
    };
    answer: undefined;
  };
  /** Has a webhook begin at another place: everything behind it is sent, again or for the first time. */
  replay_webhook: {
    path: {
      /** The webhook. */
      id: string;
    };
    body: ReplayWebhookBody;
    answer: undefined;
  };
  /** Has a webhook that is parked, or waits between two tries, go on at once. */
  retry_webhook: {
    path: {
      /** The webhook. */
      id: string;
    };
    answer: undefined;
  };
  /** Gives a webhook a new secret. */
  rotate_webhook_secret: {
    path: {
      /** The webhook. */
      id: string;
    };
    answer: WebhookMade;
  };
  /** Live events over a WebSocket */
  socket: {
    query?: {
      /** A ticket from `POST /v1/stream/ticket`, in place of the `Authorization` header. */
      ticket?: string;
    };
    answer: undefined;
  };
}
