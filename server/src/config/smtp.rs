//! The mail server as a URL.

use parlor_auth::mail::{SmtpMailer, SmtpSettings, Tls};
use url::Url;

const FORMS: &str = "must look like `smtps://user:password@mail.example.org`, `smtp+starttls://user:password@mail.example.org:587` \
or, for a relay on this machine, `smtp://localhost:25`";

/// The settings that a URL stands for, or what is wrong with it. The message never repeats the URL: it may hold a password.
pub(super) fn settings(url: &str, from: &str) -> Result<SmtpSettings, String> {
    let url = Url::parse(url).map_err(|_| FORMS.to_owned())?;
    let tls = match url.scheme() {
        "smtps" => Tls::Implicit,
        "smtp+starttls" => Tls::Starttls,
        "smtp" => Tls::None,
        _ => return Err(FORMS.to_owned()),
    };
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let host = url.host_str().filter(|host| bare && !host.is_empty()).ok_or(FORMS)?;
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| "holds a percent-encoded part that isn't UTF-8".to_owned())
    };
    let user = (!url.username().is_empty()).then(|| decoded(url.username())).transpose()?;
    let password = url.password().map(decoded).transpose()?.map(Into::into);
    let settings =
        SmtpSettings { host: host.to_owned(), port: url.port(), tls, user, password, from: from.to_owned() };
    SmtpMailer::new(&settings).map_err(|error| error.to_string())?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "Parlor <parlor@example.org>";

    #[tokio::test]
    async fn a_url_says_host_port_protection_and_account() {
        let found = settings("smtps://bot%40example.org:p%2Fw@mail.example.org", FROM).unwrap();
        assert_eq!((found.host.as_str(), found.port, found.tls), ("mail.example.org", None, Tls::Implicit));
        assert_eq!(found.user.as_deref(), Some("bot@example.org"));
        let found = settings("smtp+starttls://mail.example.org:2525", FROM).unwrap();
        assert_eq!((found.port, found.tls, found.user), (Some(2525), Tls::Starttls, None));
        assert_eq!(settings("smtp://localhost:25", FROM).unwrap().tls, Tls::None);
    }

    #[tokio::test]
    async fn what_it_refuses_it_refuses_without_repeating_a_password() {
        for url in [
            "mail.example.org:25",
            "http://u:hunter2@mail",
            "smtps://",
            "smtp://u:hunter2@mail",
            "smtps://u@mail",
        ] {
            let problem = settings(url, FROM).unwrap_err();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        assert!(settings("smtps://mail.example.org", "nobody").unwrap_err().contains("`from`"));
    }
}
