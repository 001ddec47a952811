//! What all routes share in the API's description.
