//! The view `inbox`: what people were told.

pub mod get_unread_notifications_count;
pub mod get_user_notifications;
mod projection;
mod repository;

pub use get_unread_notifications_count::{
    GetUnreadNotificationsCount, GetUnreadNotificationsCountHandler, UnreadCount,
};
pub use get_user_notifications::{GetUserNotifications, GetUserNotificationsHandler, ShownNotification};
pub use projection::InboxProjection;
pub use repository::{Inboxes, Told};
