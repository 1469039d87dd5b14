# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Places in America, see `places`."""

from __future__ import annotations

PLACES = {
    "en_US": """
@America/New_York
Connecticut,CT,Hartford,061##,860; Delaware,DE,Wilmington,198##,302; District of Columbia,DC,Washington,200##,202
Florida,FL,Miami,331##,305/786; Florida,FL,Orlando,328##,407; Georgia,GA,Atlanta,303##,404/678
Maine,ME,Portland,041##,207; Maryland,MD,Baltimore,212##,410/443; Massachusetts,MA,Boston,021##,617/857
New Hampshire,NH,Manchester,031##,603; New Jersey,NJ,Newark,071##,973; New York,NY,New York,100##,212/646/917
New York,NY,Buffalo,142##,716; North Carolina,NC,Charlotte,282##,704; Ohio,OH,Columbus,432##,614
Ohio,OH,Cleveland,441##,216; Pennsylvania,PA,Philadelphia,191##,215; Rhode Island,RI,Providence,029##,401
South Carolina,SC,Charleston,294##,843; Vermont,VT,Burlington,054##,802; Virginia,VA,Richmond,232##,804
West Virginia,WV,Charleston,253##,304
@America/Indiana/Indianapolis
Indiana,IN,Indianapolis,462##,317
@America/Kentucky/Louisville
Kentucky,KY,Louisville,402##,502
@America/Detroit
Michigan,MI,Detroit,482##,313
@America/Chicago
Alabama,AL,Birmingham,352##,205; Arkansas,AR,Little Rock,722##,501; Illinois,IL,Chicago,606##,312/773
Iowa,IA,Des Moines,503##,515; Kansas,KS,Wichita,672##,316; Louisiana,LA,New Orleans,701##,504
Minnesota,MN,Minneapolis,554##,612; Mississippi,MS,Jackson,392##,601; Missouri,MO,St. Louis,631##,314
Nebraska,NE,Omaha,681##,402; North Dakota,ND,Fargo,581##,701; Oklahoma,OK,Oklahoma City,731##,405
South Dakota,SD,Sioux Falls,571##,605; Tennessee,TN,Nashville,372##,615; Texas,TX,Houston,770##,713
Texas,TX,Dallas,752##,214; Wisconsin,WI,Milwaukee,532##,414
@America/Denver
Colorado,CO,Denver,802##,303/720; Montana,MT,Billings,591##,406; New Mexico,NM,Albuquerque,871##,505
Texas,TX,El Paso,799##,915; Utah,UT,Salt Lake City,841##,801; Wyoming,WY,Cheyenne,820##,307
@America/Boise
Idaho,ID,Boise,837##,208
@America/Phoenix
Arizona,AZ,Phoenix,850##,602
@America/Los_Angeles
California,CA,Los Angeles,900##,213/323; California,CA,San Francisco,941##,415; California,CA,San Diego,921##,619/858
Nevada,NV,Las Vegas,891##,702; Oregon,OR,Portland,972##,503; Washington,WA,Seattle,981##,206
@America/Anchorage
Alaska,AK,Anchorage,995##,907
@Pacific/Honolulu
Hawaii,HI,Honolulu,968##,808
""",
    "en_CA": """
@America/Toronto
Ontario,ON,Toronto,M#V #?#,416/647; Ontario,ON,Ottawa,K#P #?#,613; Quebec,QC,Montreal,H#X #?#,514
@America/Halifax
Nova Scotia,NS,Halifax,B#H #?#,902
@America/Moncton
New Brunswick,NB,Moncton,E#C #?#,506
@America/St_Johns
Newfoundland and Labrador,NL,St. John's,A#C #?#,709
@America/Winnipeg
Manitoba,MB,Winnipeg,R#C #?#,204
@America/Regina
Saskatchewan,SK,Regina,S#P #?#,306
@America/Edmonton
Alberta,AB,Calgary,T#P #?#,403; Alberta,AB,Edmonton,T#J #?#,780
@America/Vancouver
British Columbia,BC,Vancouver,V#B #?#,604; British Columbia,BC,Victoria,V#W #?#,250
""",
    "fr_CA": """
@America/Toronto
Québec,QC,Montréal,H#X #?#,514; Québec,QC,Québec,G#R #?#,418; Québec,QC,Gatineau,J#X #?#,819
Québec,QC,Sherbrooke,J#H #?#,819; Québec,QC,Laval,H#N #?#,450; Ontario,ON,Ottawa,K#P #?#,613
@America/Moncton
Nouveau-Brunswick,NB,Moncton,E#C #?#,506
""",
    "es_MX": """
@America/Mexico_City
Ciudad de México,CMX,Ciudad de México,06###,; Jalisco,JAL,Guadalajara,441##,; Puebla,PUE,Puebla,720##,
Yucatán,YUC,Mérida,970##,; Veracruz,VER,Xalapa,910##,; Oaxaca,OAX,Oaxaca de Juárez,680##,
@America/Monterrey
Nuevo León,NLE,Monterrey,640##,
@America/Tijuana
Baja California,BCN,Tijuana,220##,
@America/Cancun
Quintana Roo,ROO,Cancún,775##,
""",
    "pt_BR": """
@America/Sao_Paulo
São Paulo,SP,São Paulo,01###-###,; São Paulo,SP,Campinas,13###-###,; Rio de Janeiro,RJ,Rio de Janeiro,20###-###,
Minas Gerais,MG,Belo Horizonte,30###-###,; Paraná,PR,Curitiba,80###-###,; Distrito Federal,DF,Brasília,70###-###,
Rio Grande do Sul,RS,Porto Alegre,90###-###,; Santa Catarina,SC,Florianópolis,88###-###,
@America/Bahia
Bahia,BA,Salvador,40###-###,
@America/Recife
Pernambuco,PE,Recife,50###-###,
@America/Fortaleza
Ceará,CE,Fortaleza,60###-###,
@America/Manaus
Amazonas,AM,Manaus,69###-###,
""",
    "es_AR": """
@America/Argentina/Buenos_Aires
Ciudad Autónoma de Buenos Aires,C,Buenos Aires,C1###???,; Buenos Aires,B,La Plata,B19##???,
@America/Argentina/Cordoba
Córdoba,X,Córdoba,X50##???,; Santa Fe,S,Rosario,S20##???,
@America/Argentina/Mendoza
Mendoza,M,Mendoza,M55##???,
@America/Argentina/Tucuman
Tucumán,T,San Miguel de Tucumán,T40##???,
""",
    "es_CL": """
@America/Santiago
Región Metropolitana,RM,Santiago,8######,; Valparaíso,VS,Valparaíso,23#####,; Biobío,BI,Concepción,40#####,
La Araucanía,AR,Temuco,47#####,; Antofagasta,AN,Antofagasta,12#####,
""",
    "es_CO": """
@America/Bogota
Bogotá D.C.,DC,Bogotá,11####,; Antioquia,ANT,Medellín,05####,; Valle del Cauca,VAC,Cali,76####,
Atlántico,ATL,Barranquilla,08####,; Bolívar,BOL,Cartagena,13####,; Santander,SAN,Bucaramanga,68####,
""",
}
