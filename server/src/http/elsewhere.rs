//! What other processes answer: 421, so that whoever sent a request to the wrong one doesn't take its answer for one.

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use cqrs_http::Problem;

use crate::instance::descriptions;
use crate::roles::{Only, Roles, ServiceName};

/// The query that is asked with a POST, for what it is about is a secret.
const INTROSPECTION: &str = "/v1/auth/introspect";

/// The routes of a process: those of its services, narrowed to what it answers, and those of the others, misdirected.
pub(super) fn narrow(mut services: Router, roles: &Roles) -> Router {
    if let Some(only) = roles.only {
        services = services.route_layer(from_fn_with_state(only, one_kind));
    }
    for (service, routes) in descriptions() {
        if roles.services.contains(&service) {
            continue;
        }
        for path in routes.into_openapi().paths.paths.keys() {
            services = services.route(path, any(move || async move { of_another(service) }));
        }
    }
    services
}

fn misdirected(detail: String) -> Problem {
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected-request", detail)
}

pub(crate) fn of_another(service: ServiceName) -> Problem {
    misdirected(format!("the {service} service runs in another process of this installation"))
}

async fn one_kind(State(only): State<Only>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let is_query = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let answered = match only {
        Only::Queries => is_query || route == Some(INTROSPECTION),
        Only::Commands => !is_query,
    };
    if answered {
        return next.run(request).await;
    }
    let what = match only {
        Only::Queries => "queries",
        Only::Commands => "commands",
    };
    misdirected(format!("this process answers {what} only; another one of this installation answers this"))
        .into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::{get, post};
    use tower::ServiceExt as _;

    use super::*;

    async fn status(router: &Router, method: &str, path: &str) -> StatusCode {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    }

    fn chat(only: Option<Only>) -> Router {
        let routes = Router::new()
            .route("/v1/conversations", get(|| async {}).post(|| async {}))
            .route(INTROSPECTION, post(|| async {}));
        narrow(routes, &Roles::of(&[ServiceName::Chat, ServiceName::Auth], only))
    }

    #[tokio::test]
    async fn the_routes_of_other_services_are_misdirected_and_what_is_no_route_is_not_there() {
        let chat = chat(None);
        assert_eq!(status(&chat, "GET", "/v1/conversations").await, StatusCode::OK);
        assert_eq!(status(&chat, "GET", "/v1/users/7").await, StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(status(&chat, "POST", "/v1/notifications").await, StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(status(&chat, "GET", "/v1/payments").await, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_process_of_one_kind_answers_that_kind_only() {
        let (queries, commands) = (chat(Some(Only::Queries)), chat(Some(Only::Commands)));
        for (method, path, query, command) in [
            ("GET", "/v1/conversations", 200, 421),
            ("POST", "/v1/conversations", 421, 200),
            ("POST", INTROSPECTION, 200, 200),
        ] {
            assert_eq!(status(&queries, method, path).await, query, "{method} {path}");
            assert_eq!(status(&commands, method, path).await, command, "{method} {path}");
        }
    }
}
