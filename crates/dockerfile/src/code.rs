//! The stable codes of diagnostics. Where BuildKit has a rule of that meaning, the code is the rule's name.

/// The file is binary or not UTF-8.
pub const NOT_TEXT: &str = "NotText";
/// The file is empty or has only comments.
pub const EMPTY_FILE: &str = "EmptyFile";
/// The file has no FROM.
pub const NO_STAGE: &str = "NoStage";
/// An instruction other than ARG before the first FROM.
pub const BEFORE_FROM: &str = "InstructionBeforeFrom";
/// A line longer than 65535 bytes.
pub const LINE_TOO_LONG: &str = "LineTooLong";
/// More instructions than any image can have.
pub const TOO_LONG: &str = "TooManyInstructions";
/// A directive twice, or with a value that is none of its.
pub const BAD_DIRECTIVE: &str = "BadDirective";
/// A word that is no instruction.
pub const UNKNOWN_INSTRUCTION: &str = "UnknownInstruction";
/// A flag that the instruction does not have.
pub const UNKNOWN_FLAG: &str = "UnknownFlag";
/// A flag without value, with a wrong one, or twice.
pub const BAD_FLAG: &str = "BadFlag";
/// Too few or too many words behind an instruction, or of the wrong form.
pub const BAD_ARGUMENTS: &str = "BadArguments";
/// A JSON array that holds something else than strings.
pub const BAD_JSON: &str = "BadJsonForm";
/// A here-document without end, or where none can be.
pub const BAD_HEREDOC: &str = "BadHeredoc";
/// A stage name with characters that names cannot have.
pub const BAD_STAGE_NAME: &str = "BadStageName";
/// A variable where none is expanded.
pub const NO_EXPANSION: &str = "NoVariableHere";
/// Something beyond the reference frontend, in a file that does not ask for it by `# kiln=`.
pub const NOT_ENABLED: &str = "ExtensionNotEnabled";
/// What INCLUDE names cannot be read in.
pub const BAD_INCLUDE: &str = "BadInclude";
/// An INCLUDE in a text that was parsed without its files.
pub const NOT_READ_IN: &str = "NotReadIn";
/// Something that BuildKit's stable frontend does not support either.
pub const UNSUPPORTED: &str = "Unsupported";

/// A blank line within a continued instruction.
pub const NO_EMPTY_CONTINUATION: &str = "NoEmptyContinuation";
/// A stage name that is not in lower case.
pub const STAGE_NAME_CASING: &str = "StageNameCasing";
/// `FROM x as y`: the keywords differ in case.
pub const FROM_AS_CASING: &str = "FromAsCasing";
/// Two stages of one name.
pub const DUPLICATE_STAGE_NAME: &str = "DuplicateStageName";
/// A stage named `context` or `scratch`.
pub const RESERVED_STAGE_NAME: &str = "ReservedStageName";
/// MAINTAINER is used.
pub const MAINTAINER_DEPRECATED: &str = "MaintainerDeprecated";
/// `ENV key value` with a blank instead of `=`.
pub const LEGACY_KEY_VALUE_FORMAT: &str = "LegacyKeyValueFormat";
/// CMD or ENTRYPOINT in shell form.
pub const JSON_ARGS_RECOMMENDED: &str = "JSONArgsRecommended";
/// More than one CMD, ENTRYPOINT or HEALTHCHECK in a stage.
pub const MULTIPLE_INSTRUCTIONS: &str = "MultipleInstructionsDisallowed";
/// Keywords in mixed case, or not as most of the file.
pub const INSTRUCTION_CASING: &str = "ConsistentInstructionCasing";
/// `EXPOSE 80/TCP`
pub const EXPOSE_PROTO_CASING: &str = "ExposeProtoCasing";
/// An address or host port in EXPOSE.
pub const EXPOSE_INVALID_FORMAT: &str = "ExposeInvalidFormat";
/// FROM uses an ARG that nobody declared.
pub const UNDEFINED_ARG_IN_FROM: &str = "UndefinedArgInFrom";
/// The first WORKDIR of a stage is relative.
pub const WORKDIR_RELATIVE_PATH: &str = "WorkdirRelativePath";
/// A variable that is not defined.
pub const UNDEFINED_VAR: &str = "UndefinedVar";
/// A base image for another platform than is built for.
pub const INVALID_BASE_IMAGE_PLATFORM: &str = "InvalidBaseImagePlatform";
/// `FROM --platform=$TARGETPLATFORM`
pub const REDUNDANT_TARGET_PLATFORM: &str = "RedundantTargetPlatform";
/// A name of ARG or ENV that sounds like a secret.
pub const SECRETS_USED_IN_ARG_OR_ENV: &str = "SecretsUsedInArgOrEnv";
/// A FROM that makes no sense without `--build-arg`.
pub const INVALID_DEFAULT_ARG_IN_FROM: &str = "InvalidDefaultArgInFrom";
/// `FROM --platform=linux/amd64`
pub const FROM_PLATFORM_CONSTANT: &str = "FromPlatformFlagConstDisallowed";
/// A source of COPY or ADD that the ignore file leaves out.
pub const COPY_IGNORED_FILE: &str = "CopyIgnoredFile";
/// `--link` with an owner by name, which BuildKit fails at. A rule of Kiln's.
pub const LINK_WITH_OWNER_NAME: &str = "LinkWithOwnerName";
/// `RUN --network=host` that BuildKit would refuse. A rule of Kiln's.
pub const NETWORK_HOST_NOT_ALLOWED: &str = "NetworkHostNotAllowed";
/// A comment above ARG or FROM that does not describe it.
pub const INVALID_DEFINITION_DESCRIPTION: &str = "InvalidDefinitionDescription";
