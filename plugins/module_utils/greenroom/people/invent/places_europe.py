# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Places in Europe, see `places`."""

from __future__ import annotations

PLACES = {
    "en_GB": """
@Europe/London
England,ENG,London,SW# #??,2079460; England,ENG,Leeds,LS# #??,1134960; England,ENG,Sheffield,S# #??,1144960
England,ENG,Leicester,LE# #??,1164960; England,ENG,Bristol,BS# #??,1174960; England,ENG,Reading,RG# #??,1184960
England,ENG,Birmingham,B# #??,1214960; England,ENG,Liverpool,L# #??,1514960; England,ENG,Manchester,M# #??,1614960
England,ENG,Newcastle upon Tyne,NE# #??,1914980; Scotland,SCT,Edinburgh,EH# #??,1314960
Scotland,SCT,Glasgow,G# #??,1414960; Wales,WLS,Cardiff,CF# #??,2920180; Northern Ireland,NIR,Belfast,BT# #??,2896496
""",
    "en_IE": """
@Europe/Dublin
Leinster,L,Dublin,D0# ?#?#,; Munster,M,Cork,T12 ?#?#,; Munster,M,Limerick,V94 ?#?#,; Connacht,C,Galway,H91 ?#?#,
Munster,M,Waterford,X91 ?#?#,; Leinster,L,Kilkenny,R95 ?#?#,
""",
    "de_DE": """
@Europe/Berlin
Berlin,BE,Berlin,101##,3023125; Hamburg,HH,Hamburg,203##,4066969; Hessen,HE,Frankfurt am Main,603##,6990009
Bayern,BY,München,803##,8999998; Nordrhein-Westfalen,NW,Köln,506##,2214710
""",
    "de_AT": """
@Europe/Vienna
Wien,9,Wien,1##0,; Steiermark,6,Graz,80##,; Oberösterreich,4,Linz,40##,; Salzburg,5,Salzburg,50##,
Tirol,7,Innsbruck,60##,; Kärnten,2,Klagenfurt am Wörthersee,90##,; Vorarlberg,8,Bregenz,69##,
""",
    "de_CH": """
@Europe/Zurich
Zürich,ZH,Zürich,80##,; Bern,BE,Bern,30##,; Basel-Stadt,BS,Basel,40##,; Luzern,LU,Luzern,60##,
St. Gallen,SG,St. Gallen,90##,; Zürich,ZH,Winterthur,84##,; Graubünden,GR,Chur,70##,
""",
    "fr_CH": """
@Europe/Zurich
Genève,GE,Genève,12##,; Vaud,VD,Lausanne,10##,; Fribourg,FR,Fribourg,17##,; Neuchâtel,NE,Neuchâtel,20##,
Valais,VS,Sion,19##,; Jura,JU,Delémont,28##,
""",
    "it_CH": "@Europe/Zurich\nTicino,TI,Lugano,69##,; Ticino,TI,Bellinzona,65##,; Ticino,TI,Locarno,66##,",
    "fr_FR": """
@Europe/Paris
Île-de-France,IDF,Paris,750##,19900; Île-de-France,IDF,Versailles,780##,19900; Bretagne,BRE,Rennes,350##,26191
Bretagne,BRE,Brest,292##,26191; Normandie,NOR,Rouen,760##,26191; Pays de la Loire,PDL,Nantes,440##,26191
Centre-Val de Loire,CVL,Tours,370##,26191; Grand Est,GES,Strasbourg,670##,35301; Grand Est,GES,Reims,511##,35301
Hauts-de-France,HDF,Lille,590##,35301; Bourgogne-Franche-Comté,BFC,Dijon,210##,35301
Auvergne-Rhône-Alpes,ARA,Lyon,690##,46571; Auvergne-Rhône-Alpes,ARA,Grenoble,380##,46571
Provence-Alpes-Côte d'Azur,PAC,Marseille,130##,46571; Occitanie,OCC,Montpellier,340##,46571
Nouvelle-Aquitaine,NAQ,Bordeaux,330##,53649; Occitanie,OCC,Toulouse,310##,53649
""",
    "fr_BE": """
@Europe/Brussels
Bruxelles-Capitale,BRU,Bruxelles,10##,; Liège,WLG,Liège,40##,; Hainaut,WHT,Charleroi,60##,; Namur,WNA,Namur,50##,
Hainaut,WHT,Mons,70##,; Luxembourg,WLX,Arlon,67##,
""",
    "nl_BE": """
@Europe/Brussels
Antwerpen,VAN,Antwerpen,20##,; Oost-Vlaanderen,VOV,Gent,90##,; West-Vlaanderen,VWV,Brugge,80##,
Vlaams-Brabant,VBR,Leuven,30##,; Limburg,VLI,Hasselt,35##,; Brussels Hoofdstedelijk Gewest,BRU,Brussel,10##,
""",
    "nl_NL": """
@Europe/Amsterdam
Noord-Holland,NH,Amsterdam,101# ??,; Zuid-Holland,ZH,Rotterdam,301# ??,; Zuid-Holland,ZH,Den Haag,251# ??,
Utrecht,UT,Utrecht,351# ??,; Noord-Brabant,NB,Eindhoven,561# ??,; Groningen,GR,Groningen,971# ??,
Gelderland,GE,Arnhem,681# ??,; Limburg,LI,Maastricht,621# ??,
""",
    "it_IT": """
@Europe/Rome
Lazio,62,Roma,001##,; Lombardia,25,Milano,201##,; Piemonte,21,Torino,101##,; Campania,72,Napoli,801##,
Toscana,52,Firenze,501##,; Veneto,34,Venezia,301##,; Emilia-Romagna,45,Bologna,401##,; Sicilia,82,Palermo,901##,
Liguria,42,Genova,161##,; Puglia,75,Bari,701##,; Sardegna,88,Cagliari,091##,
""",
    "es_ES": """
@Europe/Madrid
Comunidad de Madrid,MD,Madrid,280##,; Cataluña,CT,Barcelona,080##,; Comunidad Valenciana,VC,Valencia,460##,
Andalucía,AN,Sevilla,410##,; Andalucía,AN,Málaga,290##,; País Vasco,PV,Bilbao,480##,; Aragón,AR,Zaragoza,500##,
Galicia,GA,Vigo,362##,; Castilla y León,CL,Valladolid,470##,; Islas Baleares,IB,Palma,070##,
@Atlantic/Canary
Canarias,CN,Las Palmas de Gran Canaria,350##,
""",
    "pt_PT": """
@Europe/Lisbon
Lisboa,11,Lisboa,1##0-###,; Porto,13,Porto,40##-###,; Coimbra,06,Coimbra,30##-###,; Braga,03,Braga,47##-###,
Faro,08,Faro,80##-###,; Aveiro,01,Aveiro,38##-###,
@Atlantic/Madeira
Madeira,30,Funchal,90##-###,
@Atlantic/Azores
Açores,20,Ponta Delgada,95##-###,
""",
    "sv_SE": """
@Europe/Stockholm
Stockholms län,AB,Stockholm,11# ##,8465004##; Skåne län,M,Malmö,21# ##,4062804##
Västra Götalands län,O,Göteborg,41# ##,31390060#/31390061#/31390062#/31390063#/31390064#
Norrbottens län,BD,Kiruna,981 ##,9803192##
""",
    "no_NO": """
@Europe/Oslo
Oslo,03,Oslo,01##,; Vestland,46,Bergen,50##,; Trøndelag,50,Trondheim,70##,; Rogaland,11,Stavanger,40##,
Troms,55,Tromsø,90##,; Agder,42,Kristiansand,46##,
""",
    "da_DK": """
@Europe/Copenhagen
Hovedstaden,84,København,1###,; Midtjylland,82,Aarhus,80##,; Syddanmark,83,Odense,50##,
Nordjylland,81,Aalborg,90##,; Sjælland,85,Roskilde,40##,
""",
    "fi_FI": """
@Europe/Helsinki
Uusimaa,18,Helsinki,00##0,; Pirkanmaa,11,Tampere,33##0,; Varsinais-Suomi,19,Turku,20##0,
Pohjois-Pohjanmaa,14,Oulu,90##0,; Uusimaa,18,Espoo,02##0,; Keski-Suomi,08,Jyväskylä,40##0,
""",
    "is_IS": "@Atlantic/Reykjavik\nHöfuðborgarsvæðið,1,Reykjavík,10#,; Norðurland eystra,6,Akureyri,60#,",
    "pl_PL": """
@Europe/Warsaw
mazowieckie,14,Warszawa,0#-###,; małopolskie,12,Kraków,30-###,; łódzkie,10,Łódź,90-###,; dolnośląskie,02,Wrocław,50-###,
wielkopolskie,30,Poznań,60-###,; pomorskie,22,Gdańsk,80-###,; zachodniopomorskie,32,Szczecin,70-###,
""",
    "cs_CZ": """
@Europe/Prague
Hlavní město Praha,10,Praha,11# ##,; Jihomoravský kraj,64,Brno,60# ##,; Moravskoslezský kraj,80,Ostrava,70# ##,
Plzeňský kraj,32,Plzeň,30# ##,; Olomoucký kraj,71,Olomouc,77# ##,; Liberecký kraj,51,Liberec,46# ##,
""",
    "sk_SK": """
@Europe/Bratislava
Bratislavský kraj,BL,Bratislava,81# ##,; Košický kraj,KI,Košice,04# ##,; Žilinský kraj,ZI,Žilina,01# ##,
Prešovský kraj,PV,Prešov,08# ##,; Nitriansky kraj,NI,Nitra,94# ##,
""",
    "hu_HU": """
@Europe/Budapest
Budapest,BU,Budapest,1##0,; Hajdú-Bihar,HB,Debrecen,40##,; Csongrád-Csanád,CS,Szeged,67##,; Baranya,BA,Pécs,76##,
Győr-Moson-Sopron,GS,Győr,90##,; Borsod-Abaúj-Zemplén,BZ,Miskolc,35##,
""",
    "ro_RO": """
@Europe/Bucharest
București,B,București,01####,; Cluj,CJ,Cluj-Napoca,4000##,; Timiș,TM,Timișoara,3000##,; Iași,IS,Iași,7000##,
Constanța,CT,Constanța,9000##,; Brașov,BV,Brașov,5000##,
""",
    "el_GR": """
@Europe/Athens
Αττική,I,Αθήνα,10# ##,; Κεντρική Μακεδονία,B,Θεσσαλονίκη,54# ##,; Δυτική Ελλάδα,G,Πάτρα,26# ##,
Κρήτη,M,Ηράκλειο,71# ##,; Θεσσαλία,E,Λάρισα,41# ##,
""",
    "tr_TR": """
@Europe/Istanbul
İstanbul,34,İstanbul,34###,; Ankara,06,Ankara,06###,; İzmir,35,İzmir,35###,; Bursa,16,Bursa,16###,
Antalya,07,Antalya,07###,; Konya,42,Konya,42###,
""",
    "uk_UA": """
@Europe/Kyiv
місто Київ,30,Київ,01###,; Львівська область,46,Львів,79###,; Одеська область,51,Одеса,65###,
Харківська область,63,Харків,61###,; Дніпропетровська область,12,Дніпро,49###,; Вінницька область,05,Вінниця,21###,
""",
    "ru_RU": """
@Europe/Moscow
Москва,MOW,Москва,101###,; Санкт-Петербург,SPE,Санкт-Петербург,190###,; Республика Татарстан,TA,Казань,420###,
Нижегородская область,NIZ,Нижний Новгород,603###,
@Asia/Yekaterinburg
Свердловская область,SVE,Екатеринбург,620###,
@Asia/Novosibirsk
Новосибирская область,NVS,Новосибирск,630###,
@Asia/Vladivostok
Приморский край,PRI,Владивосток,690###,
""",
}
