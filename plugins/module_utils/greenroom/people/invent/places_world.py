# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Places in Asia, Africa and Oceania, see `places`."""

from __future__ import annotations

PLACES = {
    "ja_JP": """
@Asia/Tokyo
東京都,13,千代田区,100-####,; 東京都,13,世田谷区,154-####,; 大阪府,27,大阪市,530-####,; 愛知県,23,名古屋市,450-####,
北海道,01,札幌市,060-####,; 福岡県,40,福岡市,810-####,; 京都府,26,京都市,600-####,; 神奈川県,14,横浜市,220-####,
宮城県,04,仙台市,980-####,; 広島県,34,広島市,730-####,; 沖縄県,47,那覇市,900-####,
""",
    "ko_KR": """
@Asia/Seoul
서울특별시,11,강남구,060##,; 서울특별시,11,종로구,030##,; 부산광역시,26,해운대구,480##,; 대구광역시,27,중구,419##,
인천광역시,28,연수구,219##,; 대전광역시,30,유성구,341##,; 경기도,41,수원시,164##,; 제주특별자치도,49,제주시,631##,
""",
    "zh_CN": """
@Asia/Shanghai
北京市,BJ,北京市,1000##,; 上海市,SH,上海市,2000##,; 广东省,GD,广州市,5100##,; 广东省,GD,深圳市,5180##,
四川省,SC,成都市,6100##,; 浙江省,ZJ,杭州市,3100##,; 湖北省,HB,武汉市,4300##,; 陕西省,SN,西安市,7100##,
江苏省,JS,南京市,2100##,; 重庆市,CQ,重庆市,4000##,
""",
    "zh_TW": """
@Asia/Taipei
臺北市,TPE,信義區,110##,; 新北市,NWT,板橋區,220##,; 臺中市,TXG,西屯區,407##,; 高雄市,KHH,左營區,813##,
臺南市,TNN,東區,701##,; 桃園市,TAO,中壢區,320##,
""",
    "en_IN": """
@Asia/Kolkata
Maharashtra,MH,Mumbai,4000##,; Maharashtra,MH,Pune,4110##,; Delhi,DL,New Delhi,1100##,; Karnataka,KA,Bengaluru,5600##,
Tamil Nadu,TN,Chennai,6000##,; West Bengal,WB,Kolkata,7000##,; Telangana,TS,Hyderabad,5000##,
Gujarat,GJ,Ahmedabad,3800##,; Rajasthan,RJ,Jaipur,3020##,; Kerala,KL,Kochi,6820##,
""",
    "hi_IN": """
@Asia/Kolkata
दिल्ली,DL,नई दिल्ली,1100##,; महाराष्ट्र,MH,मुंबई,4000##,; उत्तर प्रदेश,UP,लखनऊ,2260##,; राजस्थान,RJ,जयपुर,3020##,
मध्य प्रदेश,MP,भोपाल,4620##,; बिहार,BR,पटना,8000##,
""",
    "id_ID": """
@Asia/Jakarta
DKI Jakarta,JK,Jakarta Pusat,101##,; Jawa Barat,JB,Bandung,401##,; Jawa Timur,JI,Surabaya,602##,
Jawa Tengah,JT,Semarang,501##,; Sumatera Utara,SU,Medan,201##,
@Asia/Makassar
Sulawesi Selatan,SN,Makassar,901##,; Bali,BA,Denpasar,801##,
""",
    "th_TH": """
@Asia/Bangkok
กรุงเทพมหานคร,10,ปทุมวัน,10330,; เชียงใหม่,50,เมืองเชียงใหม่,50###,; ภูเก็ต,83,เมืองภูเก็ต,83###,
ขอนแก่น,40,เมืองขอนแก่น,40###,; ชลบุรี,20,เมืองชลบุรี,20###,
""",
    "vi_VN": """
@Asia/Ho_Chi_Minh
Hà Nội,HN,Hà Nội,10####,; Thành phố Hồ Chí Minh,SG,Thành phố Hồ Chí Minh,70####,; Đà Nẵng,DN,Đà Nẵng,55####,
Hải Phòng,HP,Hải Phòng,18####,; Cần Thơ,CT,Cần Thơ,90####,
""",
    "ar_SA": """
@Asia/Riyadh
منطقة الرياض,01,الرياض,12###,; منطقة مكة المكرمة,02,جدة,22###,; منطقة مكة المكرمة,02,مكة المكرمة,24###,
المنطقة الشرقية,04,الدمام,32###,; منطقة المدينة المنورة,03,المدينة المنورة,42###,
""",
    "ar_EG": """
@Africa/Cairo
محافظة القاهرة,C,القاهرة,11###,; محافظة الإسكندرية,ALX,الإسكندرية,21###,; محافظة الجيزة,GZ,الجيزة,12###,
محافظة أسوان,ASN,أسوان,81###,
""",
    "ar_AE": "@Asia/Dubai\nأبو ظبي,AZ,أبو ظبي,,; دبي,DU,دبي,,; الشارقة,SH,الشارقة,,",
    "he_IL": """
@Asia/Jerusalem
מחוז תל אביב,TA,תל אביב-יפו,6######,; מחוז ירושלים,JM,ירושלים,9######,; מחוז חיפה,HA,חיפה,3######,
מחוז הדרום,D,באר שבע,84#####,
""",
    "fa_IR": """
@Asia/Tehran
تهران,23,تهران,11########,; اصفهان,10,اصفهان,81########,; فارس,07,شیراز,71########,; خراسان رضوی,09,مشهد,91########,
""",
    "en_AU": """
@Australia/Sydney
New South Wales,NSW,Sydney,20##,25550/27010; New South Wales,NSW,Newcastle,23##,25550/27010
Australian Capital Territory,ACT,Canberra,26##,25550/27010
@Australia/Melbourne
Victoria,VIC,Melbourne,30##,35550/37010; Victoria,VIC,Geelong,32##,35550/37010
@Australia/Hobart
Tasmania,TAS,Hobart,70##,35550/37010
@Australia/Brisbane
Queensland,QLD,Brisbane,40##,75550/77010; Queensland,QLD,Cairns,48##,75550/77010
@Australia/Adelaide
South Australia,SA,Adelaide,50##,87010
@Australia/Darwin
Northern Territory,NT,Darwin,08##,87010
@Australia/Perth
Western Australia,WA,Perth,60##,87010
""",
    "en_NZ": """
@Pacific/Auckland
Auckland,AUK,Auckland,10##,; Wellington,WGN,Wellington,60##,; Canterbury,CAN,Christchurch,80##,
Waikato,WKO,Hamilton,32##,; Otago,OTA,Dunedin,90##,
""",
    "zu_ZA": """
@Africa/Johannesburg
Gauteng,GP,Johannesburg,20##,; Gauteng,GP,Pretoria,00##,; KwaZulu-Natal,KZN,Durban,40##,
Western Cape,WC,Cape Town,80##,
Free State,FS,Bloemfontein,93##,
""",
}
