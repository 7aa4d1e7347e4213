package web

import "ronde/session"

// policyEN is the privacy policy in English: see policyText.
var policyEN = policyText{
	Title: "Privacy policy",
	Intro: "What this server keeps of the people whose position it receives, made from the settings that it runs with at this moment.",
	Headings: policyHeadings{
		Controller: "Who is responsible", Collected: "What is collected, and why", Kept: "How long it is kept", Recipients: "Who sees it",
		Security: "How it is protected", Rights: "Your rights", Assessment: "Impact assessment", Notice: "The notice of your controller",
		Field: "Data", Why: "Why", Class: "What is stored", Until: "Kept until", Form: "Form", Sealed: "encrypted", Clear: "readable by the operator of the database", Language: "En français", Version: "Version", Parts: map[string]string{
			"controller": "Controller", "purpose": "Purpose", "legal_basis": "Legal basis", "recipients": "Recipients", "retention": "Retention", "rights": "Rights",
		},
	},
	NoController: "The controller decides why and how agents are located. It is the organisation that sends the agent on missions and holds the account on this server. It has published no notice here yet, which has to name it: ask your employer.",
	General:      "The controller decides why and how agents are located. It is the organisation that sends the agent on missions and holds the account on this server. Its own notice is shown in the agent's application. Where a term is the controller's to set, this page says the usual one.",
	Processor:    "{operator} runs this server on behalf of the controller, and is its processor (GDPR, article 28).",
	NoProcessor:  "Whoever runs this server on behalf of the controller is its processor (GDPR, article 28). This installation does not say who that is: the controller has to tell you.",
	Contact:      "Write to: {contact}",
	NoContact:    "This installation gives no address to write to: write to the controller.",
	When:         "A position is accepted only while a mission is active and the agent is not on a pause: nothing from before, between or after is stored or shown. A mission ends by itself at its deadline, and locates nobody for longer than {mission_hours} hours. Unless a mission says otherwise, at most one position in {interval_seconds} s is kept.",
	Fields: map[string]policyField{
		"timestamp": {"Time of the position", "to tell whether it lies inside the mission, and to show its age"},
		"latitude":  {"Latitude", "to follow the mission and show when the agent arrives"},
		"longitude": {"Longitude", "to follow the mission and show when the agent arrives"},
		"accuracy":  {"Accuracy of the fix", "not to take an imprecise position for an exact one"},
		"altitude":  {"Altitude, where the phone gives it", "to tell floors and terrain apart in an incident"},
		"heading":   {"Direction of movement, where the phone gives it", "to show which way the agent is going"},
		"speed":     {"Speed, only in missions whose policy asks for it", "to reconstruct an incident from the track; clients are never shown it, and by default it is not stored"},
		"battery":   {"Charge of the phone, where the phone gives it", "to explain why a phone has fallen silent"},
		"mock":      {"Whether the phone says that the position is made up", "not to count it as being there"},
	},
	Classes: map[session.Class]policyField{
		"positions":        {"The track of a mission", "the mission's own term, {retention_days} days after it began by default, at most {max_days}; at most {proof_days} where the purpose is proof. Then its key is destroyed, and backups of the data can be read no more once every copy of the keys is gone too, {key_days} days later at the latest"},
		"locations":        {"The latest position in a mission that keeps no track, and the state of progress", "the agent's pause or the end of the mission"},
		"held_copies":      {"A copy of a track that is held because of a dispute or an incident, or of an agent's own part at their request", "the last day of the hold, or its release. A hold has an end, a reason and an author, which the agent can read"},
		"facts":            {"Times and counts of a mission: began, arrived, paused, ended, positions refused", "no limit; after {record_months} months nobody is named with them"},
		"mission_records":  {"Reference, site and checkpoints of a mission, its agents, links, holds and their reasons", "{record_months} months after the mission is over, or for as long as its track or a hold on it is kept; then it is made anonymous"},
		"acknowledgements": {"Which version of the notice an agent acknowledged, and when", "{record_months} months, and for as long as a mission's record names the agent"},
		"receipts":         {"Answers to requests that may be repeated", "{receipt_hours} hours"},
		"access_log":       {"Who looked at or changed what, when and why, with agents under pseudonyms", "{access_months} months, and up to two days more"},
		"tombstones":       {"Who was erased and when, among the keys, to erase them again from any backup that is restored", "{tombstone_days} days after the erasure"},
		"tenant":           {"The controller's settings, keys and notices", "the end of its account"},
	},
	Recipients: []string{
		"The client of a mission, by a link made for them, while the mission lasts: by default exact positions on the site alone, and elsewhere an area of about 0.7 km². A link may be made to show more or less, and the ledger of the agent says what it showed. It ends at the latest {grace_minutes} minutes after the mission's deadline and can be revoked at any time.",
		"The controller's own staff and systems, each with a key of their own: the track is for the controller's systems alone, progress and report for whoever runs missions too.",
		"The agent, who sees in the application whether they are located and how many are watching at this moment, and can read with their token who watched and through which link, what was read, and which holds there are.",
		"Whoever runs this server, as far as running it needs. Nobody else: its pages load nothing from others, and positions are used neither for profiling nor for automated decisions.",
	},
	Claims: []policyClaim{
		{always, "Positions are encrypted before they are stored, under keys of their controller, expiry day and mission. The database sees whose they are and of what time, and never where."},
		{always, "Every look at positions, progress and reports, every export and every change is entered in an access log before any data goes out; if that is not possible, no data goes out. The log is signed: a row that is changed or removed is found."},
		{always, "Each controller's data is kept apart from that of the others."},
		{whenHTTPS, "Phones and browsers reach this server over TLS alone."},
		{unlessHTTPS, "Phones and browsers reach this server WITHOUT TLS: this installation is not fit for real positions."},
		{whenPrivate, "Between the server, its database and its keys, nothing leaves a machine without TLS."},
		{unlessPrivate, "Between the server and its database, keys or messages, TLS is not enforced; positions are encrypted on that way in any case."},
		{whenApart, "The keys are in another database than the data, so that a backup of the one does not open the other."},
		{unlessApart, "The keys are in a folder of the server: backups of it have to be kept apart from those of the data."},
		{always, "Whoever runs this server has to destroy copies of the keys after {key_days} days, and backups of the data after {tombstone_days} days: this server cannot see to it."},
	},
	Rights: []policyField{
		{"Pause", "The agent pauses their location at any time in the application. Nobody else can end that pause."},
		{"Access and portability", "The agent reads an export with their own token, or asks the controller for it: every stored position, as JSON or GPX and, in JSON, holds and who looked at it when."},
		{"Keeping what you need", "The agent has their own part of a mission's track kept with their own token, for {request_days} days at most at a time: until a request is answered, say. The copy is for their export alone, and nobody else ends it early."},
		{"Erasure", "Ask the controller. Erasure has to wait while you are on a mission that is not over, or a hold, also one of your own, stands on one of yours; the controller is told which. Then positions and progress go, in whatever backup is restored later too, and a random pseudonym takes your place in the records of missions. The access log keeps its pseudonyms until its term."},
		{"Objection, rectification, restriction", "Ask the controller, who answers within one month (GDPR, articles 12, 16, 18 and 21)."},
		{"Complaint", "You may complain to the data-protection authority of your country."},
	},
	Assessment: "Locating people at work is likely to need a data-protection impact assessment (GDPR, article 35). It is the controller's to make, and this server cannot make it. These are the facts for it:",
	Facts: []string{
		"Systematic location of identified workers, at most once in {interval_seconds} s by default, for at most {mission_hours} hours a mission.",
		"Tracks of {retention_days} days by default, {max_days} at most, {proof_days} for proof; records name people for {record_months} months; access log of {access_months} months.",
		"What is not collected: positions outside missions and during pauses, contents of the phone, contacts, other applications.",
		"Remaining risks: whoever holds the root secret, the keys and the data can read tracks that have not expired; a client can copy what their screen shows.",
	},
}
