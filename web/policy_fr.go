package web

import "ronde/session"

// policyFR is the privacy policy in French: see policyText.
var policyFR = policyText{
	Title: "Politique de confidentialité",
	Intro: "Ce que ce serveur conserve des personnes dont il reçoit la position, tel qu’il est réglé en ce moment même.",
	Headings: policyHeadings{
		Controller: "Qui est responsable", Collected: "Ce qui est collecté, et pourquoi", Kept: "Combien de temps", Recipients: "Qui y a accès",
		Security: "Comment c’est protégé", Rights: "Vos droits", Assessment: "Analyse d’impact", Notice: "L’information de votre responsable de traitement",
		Field: "Donnée", Why: "Pourquoi", Class: "Ce qui est stocké", Until: "Conservé jusqu’à", Form: "Forme", Sealed: "chiffré", Clear: "lisible par l’exploitant de la base", Language: "In English", Version: "Version", Parts: map[string]string{
			"controller": "Responsable du traitement", "purpose": "Finalité", "legal_basis": "Base légale", "recipients": "Destinataires", "retention": "Durée de conservation", "rights": "Droits",
		},
	},
	NoController: "Le responsable du traitement décide pourquoi et comment les agents sont localisés. C’est l’organisation qui envoie l’agent en mission et détient le compte sur ce serveur. Elle n’a pas encore publié ici l’information qui doit la nommer : demandez à votre employeur.",
	General:      "Le responsable du traitement décide pourquoi et comment les agents sont localisés. C’est l’organisation qui envoie l’agent en mission et détient le compte sur ce serveur. Sa propre information est affichée dans l’application de l’agent. Là où une durée dépend du responsable du traitement, cette page donne celle qui vaut par défaut.",
	Processor:    "{operator} exploite ce serveur pour le compte du responsable du traitement, dont il est le sous-traitant (RGPD, article 28).",
	NoProcessor:  "Qui exploite ce serveur pour le compte du responsable du traitement en est le sous-traitant (RGPD, article 28). Cette installation ne dit pas qui c’est : le responsable du traitement doit vous l’indiquer.",
	Contact:      "Pour écrire : {contact}",
	NoContact:    "Cette installation ne donne pas d’adresse : écrivez au responsable du traitement.",
	When:         "Une position n’est acceptée que pendant une mission active et hors des pauses de l’agent : rien d’avant, d’entre-deux ni d’après n’est stocké ni montré. Une mission se termine d’elle-même à son échéance et ne localise personne plus de {mission_hours} heures. Sauf indication contraire de la mission, une position au plus est gardée par {interval_seconds} s.",
	Fields: map[string]policyField{
		"timestamp": {"Heure de la position", "pour savoir si elle est dans la mission, et montrer son âge"},
		"latitude":  {"Latitude", "pour suivre la mission et annoncer l’arrivée de l’agent"},
		"longitude": {"Longitude", "pour suivre la mission et annoncer l’arrivée de l’agent"},
		"accuracy":  {"Précision de la mesure", "pour ne pas prendre une position vague pour une position exacte"},
		"altitude":  {"Altitude, si le téléphone la donne", "pour distinguer étages et terrain lors d’un incident"},
		"heading":   {"Direction du mouvement, si le téléphone la donne", "pour montrer où va l’agent"},
		"speed":     {"Vitesse, seulement si la mission le prévoit", "pour reconstituer un incident d’après le tracé ; elle n’est jamais montrée aux clients et, par défaut, pas stockée"},
		"battery":   {"Charge du téléphone, s’il la donne", "pour expliquer le silence d’un téléphone"},
		"mock":      {"Si le téléphone déclare la position fictive", "pour ne pas la compter comme une présence"},
	},
	Classes: map[session.Class]policyField{
		"positions":        {"Le tracé d’une mission", "l’échéance propre à la mission, {retention_days} jours après son début par défaut, {max_days} au plus ; {proof_days} au plus quand la finalité est la preuve. Sa clé est alors détruite, et les sauvegardes des données ne peuvent plus être lues une fois disparues aussi les copies des clés, {key_days} jours plus tard au plus"},
		"locations":        {"La dernière position d’une mission qui ne garde pas de tracé, et l’état d’avancement", "la pause de l’agent ou la fin de la mission"},
		"held_copies":      {"La copie d’un tracé retenu pour un litige ou un incident, ou de la part d’un agent à sa demande", "le dernier jour de la retenue, ou sa levée. Une retenue a une fin, un motif et un auteur, que l’agent peut lire"},
		"facts":            {"Heures et comptes d’une mission : début, arrivée, pauses, fin, positions refusées", "sans limite ; après {record_months} mois, plus personne n’y est nommé"},
		"mission_records":  {"Référence, site et points de passage d’une mission, ses agents, ses liens, ses retenues et leurs motifs", "{record_months} mois après la fin de la mission, ou tant que son tracé ou une retenue est gardé ; puis la fiche est anonymisée"},
		"acknowledgements": {"Quelle version de l’information un agent a reconnue, et quand", "{record_months} mois, et tant que la fiche d’une mission nomme l’agent"},
		"receipts":         {"Réponses aux requêtes qui peuvent être répétées", "{receipt_hours} heures"},
		"access_log":       {"Qui a consulté ou modifié quoi, quand et pourquoi, les agents sous pseudonyme", "{access_months} mois, et jusqu’à deux jours de plus"},
		"tombstones":       {"Qui a été effacé et quand, parmi les clés, pour l’effacer à nouveau de toute sauvegarde restaurée", "{tombstone_days} jours après l’effacement"},
		"tenant":           {"Réglages, clés et informations publiées du responsable du traitement", "la fin de son compte"},
	},
	Recipients: []string{
		"Le client d’une mission, par un lien fait pour lui, tant que dure la mission : par défaut, des positions exactes sur le site seulement, et ailleurs une zone d’environ 0,7 km². Un lien peut montrer plus ou moins, et le registre de l’agent dit ce qu’il a montré. Il expire au plus tard {grace_minutes} minutes après l’échéance de la mission et peut être révoqué à tout moment.",
		"Le personnel et les systèmes du responsable du traitement, chacun avec sa propre clé : le tracé est réservé aux systèmes du responsable du traitement, l’avancement et le rapport sont aussi lus par qui conduit les missions.",
		"L’agent, qui voit dans l’application s’il est localisé et combien de personnes regardent à cet instant, et peut lire avec son jeton qui a regardé et par quel lien, ce qui a été consulté, et quelles retenues il y a.",
		"L’exploitant de ce serveur, pour autant que l’exploitation l’exige. Personne d’autre : les pages ne chargent rien chez des tiers, et les positions ne servent ni au profilage ni à des décisions automatisées.",
	},
	Claims: []policyClaim{
		{always, "Les positions sont chiffrées avant d’être stockées, sous des clés propres à leur responsable de traitement, à leur jour d’expiration et à leur mission. La base de données voit de qui et de quelle heure elles sont, et jamais où."},
		{always, "Chaque consultation de positions, d’avancement ou de rapport, chaque export et chaque changement est inscrit dans un journal des accès avant que la moindre donnée ne sorte ; si c’est impossible, rien ne sort. Le journal est signé : une ligne modifiée ou supprimée se remarque."},
		{always, "Les données de chaque responsable de traitement sont séparées de celles des autres."},
		{whenHTTPS, "Téléphones et navigateurs n’atteignent ce serveur que par TLS."},
		{unlessHTTPS, "Téléphones et navigateurs atteignent ce serveur SANS TLS : cette installation ne convient pas à de vraies positions."},
		{whenPrivate, "Entre le serveur, sa base de données et ses clés, rien ne quitte une machine sans TLS."},
		{unlessPrivate, "Entre le serveur et sa base de données, ses clés ou ses messages, TLS n’est pas imposé ; les positions y sont chiffrées de toute façon."},
		{whenApart, "Les clés sont dans une autre base que les données : la sauvegarde de l’une n’ouvre pas l’autre."},
		{unlessApart, "Les clés sont dans un dossier du serveur : ses sauvegardes doivent être gardées à part de celles des données."},
		{always, "L’exploitant de ce serveur doit détruire les copies des clés après {key_days} jours et les sauvegardes des données après {tombstone_days} jours : ce serveur ne peut pas y veiller."},
	},
	Rights: []policyField{
		{"Pause", "L’agent suspend sa localisation à tout moment dans l’application. Personne d’autre ne peut mettre fin à cette pause."},
		{"Accès et portabilité", "L’agent lit un export avec son propre jeton, ou le demande au responsable du traitement : toutes les positions stockées, en JSON ou en GPX, avec, en JSON, les retenues et qui les a consultées et quand."},
		{"Garder ce dont vous avez besoin", "L’agent fait garder sa propre part du tracé d’une mission avec son propre jeton, {request_days} jours au plus à la fois : le temps qu’une demande reçoive sa réponse, par exemple. La copie ne sert qu’à son export, et personne d’autre n’y met fin avant terme."},
		{"Effacement", "Demandez-le au responsable du traitement. L’effacement attend tant que vous êtes d’une mission qui n’est pas finie ou qu’une retenue, même la vôtre, porte sur l’une des vôtres ; le responsable apprend laquelle. Ensuite les positions et l’avancement disparaissent, aussi de toute sauvegarde restaurée plus tard, et un pseudonyme tiré au hasard vous remplace dans les fiches de mission. Le journal des accès garde ses pseudonymes jusqu’à son terme."},
		{"Opposition, rectification, limitation", "Adressez-vous au responsable du traitement, qui répond dans un délai d’un mois (RGPD, articles 12, 16, 18 et 21)."},
		{"Réclamation", "Vous pouvez saisir l’autorité de protection des données de votre pays, en France la CNIL."},
	},
	Assessment: "La localisation de personnes au travail appelle vraisemblablement une analyse d’impact (RGPD, article 35). Il appartient au responsable du traitement de la mener ; ce serveur ne peut pas le faire. Voici les faits pour l’établir :",
	Facts: []string{
		"Localisation systématique de travailleurs identifiés, une fois par {interval_seconds} s au plus par défaut, pendant {mission_hours} heures au plus par mission.",
		"Tracés de {retention_days} jours par défaut, {max_days} au plus, {proof_days} pour la preuve ; fiches nominatives pendant {record_months} mois ; journal des accès de {access_months} mois.",
		"Ce qui n’est pas collecté : positions hors des missions et pendant les pauses, contenu du téléphone, contacts, autres applications.",
		"Risques restants : qui détient le secret racine, les clés et les données peut lire les tracés non expirés ; un client peut copier ce que montre son écran.",
	},
}
