from agent.trust.desk import TIME_FLOOR_KEY as TIME_FLOOR_KEY
from agent.trust.desk import OrderDesk as OrderDesk
from agent.trust.root import load_root as load_root
from agent.trust.verify import Accepted as Accepted
from agent.trust.verify import BoxPlace as BoxPlace
from agent.trust.verify import Refused as Refused
from agent.trust.verify import judge as judge
