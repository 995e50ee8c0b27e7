// Membership: SWIM with Lifeguard.
