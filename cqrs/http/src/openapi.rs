//! What all routes share in the API's description, said once.
//!
//! A route's own `#[utoipa::path]` says what is its own: path and query parameters, bodies, what success looks like,
//! and the refusals that only it has. [`complete`] adds the rest to every operation.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, Components, Schema};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, Header, ObjectBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder, SchemaFormat, Type,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::catalogue::PROBLEMS;
use crate::page::Limit;

/// The name of the security scheme: `security(("bearer" = []))` in a route that needs a signed-in caller.
pub const BEARER: &str = "bearer";

const IDEMPOTENCY_KEY: &str = "IdempotencyKey";
const IF_MATCH: &str = "IfMatch";
const MIN_POSITION: &str = "ParlorMinPosition";
const POSITION: &str = "ParlorPosition";
const REQUEST_ID: &str = "XRequestId";
const REPLAYED: &str = "IdempotencyReplayed";
const ETAG: &str = "ETag";
const RETRY_AFTER: &str = "RetryAfter";
const CHALLENGE: &str = "WwwAuthenticate";

/// Adds to a description of commands and queries what they share: the bearer scheme, the headers that each takes and
/// gives, and the problems that each may answer with. What a route says itself stays; a problem that it lists without a
/// body gets the problem document as its body.
///
/// Every POST, PUT, PATCH and DELETE counts as a command, every GET as a query, except those that answer with something
/// other than JSON. Merge what is neither (health, metrics) afterwards.
pub fn complete(api: &mut OpenApi) {
    add_components(api.components.get_or_insert_default());
    for item in api.paths.paths.values_mut() {
        complete_item(item);
    }
}

/// Adds to a description of what is neither command nor query, yet for signed-in callers, what it shares with them: the
/// problems of whoever may not, and of what can't be read. Its routes take no idempotency key and no position.
pub fn complete_apart(api: &mut OpenApi) {
    for item in api.paths.paths.values_mut() {
        let PathItem { get, post, put, patch, delete, .. } = item;
        for operation in get.iter_mut() {
            add_problems(operation, &[400, 422, 429, 500, 503]);
            add_problems_of_access(operation);
        }
        for operation in [post, put, patch, delete].into_iter().flatten() {
            add_problems(operation, &[400, 408, 413, 415, 422, 429, 500, 503]);
            add_problems_of_access(operation);
        }
    }
}

fn complete_item(item: &mut PathItem) {
    let PathItem { get, post, put, patch, delete, .. } = item;
    if let Some(query) = get {
        complete_query(query);
    }
    for command in [post, put, patch, delete].into_iter().flatten() {
        complete_command(command);
    }
}

fn complete_query(operation: &mut Operation) {
    if answers_json(operation) {
        add_parameter(operation, MIN_POSITION);
        add_to_successes(operation, &[("Parlor-Position", POSITION)]);
        add_problems(operation, &[410, 503]);
    }
    add_problems(operation, &[400, 422, 429, 500]);
    add_problems_of_access(operation);
}

fn complete_command(operation: &mut Operation) {
    add_parameter(operation, IDEMPOTENCY_KEY);
    add_parameter(operation, MIN_POSITION);
    let headers = [("Parlor-Position", POSITION), ("Idempotency-Replayed", REPLAYED), ("ETag", ETAG)];
    add_to_successes(operation, &headers);
    add_problems(operation, &[400, 408, 409, 410, 413, 415, 422, 429, 500, 503, 507]);
    add_problems_of_access(operation);
    if names_a_resource(operation) {
        add_parameter(operation, IF_MATCH);
        add_problems(operation, &[412]);
    }
}

fn add_problems_of_access(operation: &mut Operation) {
    if operation.security.as_ref().is_some_and(|security| !security.is_empty()) {
        add_problems(operation, &[401, 403]);
    }
    if names_a_resource(operation) {
        add_problems(operation, &[404]);
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            header(response, "X-Request-Id", REQUEST_ID);
            if status.starts_with(['4', '5']) && response.content.is_empty() {
                response.content.insert(PROBLEM_JSON.to_owned(), problem_content().into());
            }
        }
    }
}

/// Whether the path has parameters.
fn names_a_resource(operation: &Operation) -> bool {
    operation.parameters.iter().flatten().any(|parameter| {
        matches!(parameter, RefOr::T(parameter) if matches!(parameter.parameter_in, ParameterIn::Path))
    })
}

fn answers_json(operation: &Operation) -> bool {
    successes(operation)
        .all(|response| response.content.is_empty() || response.content.contains_key("application/json"))
}

fn successes(operation: &Operation) -> impl Iterator<Item = &Response> {
    operation.responses.responses.iter().filter_map(|(status, response)| match response {
        RefOr::T(response) if status.starts_with('2') => Some(response),
        _ => None,
    })
}

fn add_parameter(operation: &mut Operation, name: &str) {
    let parameters = operation.parameters.get_or_insert_default();
    parameters.push(RefOr::Ref(Ref::new(format!("#/components/parameters/{name}"))));
}

fn add_to_successes(operation: &mut Operation, headers: &[(&str, &str)]) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with('2')
        {
            for (name, component) in headers {
                header(response, name, component);
            }
        }
    }
}

fn header(response: &mut Response, name: &str, component: &str) {
    response
        .headers
        .entry(name.to_owned())
        .or_insert_with(|| RefOr::Ref(Ref::new(format!("#/components/headers/{component}"))));
}

fn add_problems(operation: &mut Operation, statuses: &[u16]) {
    for status in statuses {
        operation
            .responses
            .responses
            .entry(status.to_string())
            .or_insert_with(|| RefOr::Ref(Ref::from_response_name(format!("Problem{status}"))));
    }
}

const PROBLEM_JSON: &str = "application/problem+json";

fn problem_content() -> Content {
    Content::new(Some(Ref::from_schema_name("Problem")))
}

fn add_components(components: &mut Components) {
    components.schemas.insert("Problem".to_owned(), problem_schema().into());
    // utoipa refers to the types of parameters without collecting them.
    components.schemas.insert(Limit::name().into_owned(), Limit::schema());
    components.add_security_scheme(
        BEARER,
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("An access token, as signing in gives it."))
                .build(),
        ),
    );
    for (name, parameter) in parameters() {
        components.parameters.insert(name.to_owned(), RefOr::T(parameter));
    }
    for (name, header) in headers() {
        components.headers.insert(name.to_owned(), RefOr::T(header));
    }
    for kinds in PROBLEMS.chunk_by(|a, b| a.status == b.status) {
        let status = kinds[0].status;
        let lines = kinds.iter().map(|kind| format!("- `{}`: {}", kind.code, kind.explanation));
        let description = lines.collect::<Vec<_>>().join("\n");
        let mut response =
            ResponseBuilder::new().description(description).content(PROBLEM_JSON, problem_content()).build();
        header(&mut response, "X-Request-Id", REQUEST_ID);
        match status {
            401 => header(&mut response, "WWW-Authenticate", CHALLENGE),
            409 | 429 | 503 => header(&mut response, "Retry-After", RETRY_AFTER),
            _ => {}
        }
        components.responses.insert(format!("Problem{status}"), RefOr::T(response));
    }
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn parameters() -> [(&'static str, Parameter); 3] {
    let parameter = |name: &str, description: &str, schema: ObjectBuilder| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(schema))
            .build()
    };
    [
        (
            IDEMPOTENCY_KEY,
            parameter(
                "Idempotency-Key",
                "The same key, caller, route and content: the first answer again, and no second effect.",
                text().min_length(Some(1)).max_length(Some(255)).pattern(Some("^[!-~]+$")),
            ),
        ),
        (
            IF_MATCH,
            parameter(
                "If-Match",
                "The `ETag` that the caller has seen; refused with 412 if the resource has moved on since.",
                text().pattern(Some("^(\\*|\"[0-9]+\")$")),
            ),
        ),
        (
            MIN_POSITION,
            parameter(
                "Parlor-Min-Position",
                "One or several `Parlor-Position` tokens, joined by commas: answers once the view holds them.",
                text(),
            ),
        ),
    ]
}

fn headers() -> [(&'static str, Header); 6] {
    let header = |schema: ObjectBuilder, description: &str| {
        HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
    };
    [
        (POSITION, header(text(), "What was written, or what the view held: an opaque token.")),
        (REPLAYED, header(text().enum_values(Some(["true"])), "The answer is that of an earlier command.")),
        (ETAG, header(text().pattern(Some("^\"[0-9]+\"$")), "The resource's version.")),
        (REQUEST_ID, header(text(), "The request's id, the caller's own if it sent one.")),
        (RETRY_AFTER, header(ObjectBuilder::new().schema_type(Type::Integer), "Seconds to wait.")),
        (CHALLENGE, header(text(), "`Bearer`, with the error where a token was given (RFC 6750).")),
    ]
}

fn problem_schema() -> Schema {
    let described = |description: &str| text().description(Some(description));
    let field_error = ObjectBuilder::new()
        .property("pointer", described("JSON pointer into the body, or the name of the parameter or header."))
        .required("pointer")
        .property("detail", described("What is wrong with it."))
        .required("detail");
    let status = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(400)).maximum(Some(599));
    ObjectBuilder::new()
        .description(Some("Why a request wasn't carried out (RFC 9457)."))
        .property(
            "type",
            described("What explains this kind of problem.")
                .format(Some(SchemaFormat::Custom("uri-reference".to_owned()))),
        )
        .required("type")
        .property("title", described("The kind of problem in a few words."))
        .required("title")
        .property("status", status.description(Some("The HTTP status.")))
        .required("status")
        .property("detail", described("What is wrong here, and what to do."))
        .required("detail")
        .property("code", described("Stable, for programs to act on.").pattern(Some("^[a-z0-9-]+$")))
        .required("code")
        .property("requestId", described("The request's id, to be found in the log."))
        .required("requestId")
        .property("errors", ArrayBuilder::new().items(field_error).description(Some("The invalid fields.")))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(true)))
        .into()
}
